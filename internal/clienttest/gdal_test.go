//go:build clients

package clienttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestGDAL keeps rasters in a bucket (/vsis3/): whole, by windows, and as files
// of any kind through its virtual file system.
func TestGDAL(t *testing.T) { onFirst(t, testGDAL) }

func testGDAL(t *testing.T, g *gateway) {
	t.Parallel()
	bucket := bucketName(t)
	env := []string{"AWS_S3_ENDPOINT=" + strings.TrimPrefix(g.s3, "http://"), "AWS_HTTPS=NO", "AWS_VIRTUAL_HOSTING=FALSE", "AWS_REGION=" + region,
		"CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE=YES", "VSIS3_CHUNK_SIZE=5", "GDAL_HTTP_MAX_RETRY=0"}
	translate := require(t, g, "gdal_translate", "gdal-bin").with(env...)
	info := require(t, g, "gdalinfo", "gdal-bin").with(env...)
	info.version("--version")
	must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	at := func(key string) string { return "/vsis3/" + bucket + "/" + key }

	const side = 3000 // 9 MB, written in parts
	raw := filepath.Join(translate.home, "in.pgm")
	must(t, os.WriteFile(raw, append(fmt.Appendf(nil, "P5\n%d %d\n255\n", side, side), random(side, 0, side*side)...), 0o600))
	local := filepath.Join(translate.home, "local.tif")
	translate.run("-q", "-co", "TILED=YES", raw, local)
	translate.run("-q", "-co", "TILED=YES", raw, at("maps/out.tif"))
	noUploads(t, g, bucket)
	stored(t, g, bucket, "maps/out.tif", local)
	checksum := regexp.MustCompile(`Checksum=\d+`)
	sum := checksum.FindString(info.run("-checksum", local))
	if got := checksum.FindString(info.run("-checksum", at("maps/out.tif"))); got != sum || sum == "" {
		t.Errorf("%q instead of %q", got, sum)
	}
	// A window, for which it fetches some tiles.
	window := []string{"-q", "-srcwin", "1700", "2100", "90", "70"}
	want, got := filepath.Join(translate.home, "want.tif"), filepath.Join(translate.home, "got.tif")
	translate.run(append(window, local, want)...)
	translate.run(append(window, at("maps/out.tif"), got)...)
	sameFile(t, got, want)
	// Another format, made from what is there.
	translate.run("-q", "-of", "PNG", at("maps/out.tif"), at("maps/out.png"))
	if got := checksum.FindString(info.run("-checksum", at("maps/out.png"))); got != sum {
		t.Errorf("%q instead of %q", got, sum)
	}

	populate(t, g, bucket, "many/%04d", 1050)
	python := require(t, g, "/usr/bin/python3", "python3-gdal").with(env...)
	if out := python.run(script(t, "testdata/gdal_client.py"), bucket); !strings.HasSuffix(out, "passed\n") {
		t.Errorf("it did not come to its end:\n%s", out)
	}
	noUploads(t, g, bucket)

	info.fails("does not exist", at("maps/absent.tif"))
	half, err := os.ReadFile(local)
	must(t, err)
	half = half[:len(half)/2]
	_, err = newMinio(t, g).Client.PutObject(t.Context(), bucket, "maps/half.tif", bytes.NewReader(half), int64(len(half)), minio.PutObjectOptions{})
	must(t, err)
	translate.fails("ERROR", "-q", at("maps/half.tif"), got)
	info.with("AWS_SECRET_ACCESS_KEY=another").fails("signature that you provided", at("maps/out.tif"))
}
