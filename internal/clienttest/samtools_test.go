//go:build clients

package clienttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestSamtools works with alignments in a bucket (htslib's s3+http): it writes
// and indexes them there, and reads regions by ranges.
func TestSamtools(t *testing.T) { onEach(t, testSamtools) }

func testSamtools(t *testing.T, g *gateway) {
	t.Parallel()
	bucket := bucketName(t)
	p := require(t, g, "samtools", "samtools").with("HTS_S3_HOST="+strings.TrimPrefix(g.s3, "http://"), "HTS_S3_ADDRESS_STYLE=path")
	p.version("--version")
	must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	const reads, step = 30_000, 30
	sam := writeFile(t, filepath.Join(p.home, "in.sam"), alignments(reads, step))
	at := func(key string) string { return "s3+http://" + bucket + "/" + key }

	// Written in parts, to a name with a folder.
	p.run("view", "--no-PG", "-b", "-o", at("run/x.bam"), sam)
	noUploads(t, g, bucket)
	local := filepath.Join(p.home, "local.bam")
	p.run("view", "--no-PG", "-b", "-o", local, sam)
	stored(t, g, bucket, "run/x.bam", local)
	p.run("quickcheck", "-v", at("run/x.bam"))
	// The whole of it, record by record.
	back := filepath.Join(p.home, "back.sam")
	p.run("view", "--no-PG", "-h", "-o", back, at("run/x.bam"))
	sameFile(t, back, sam)

	p.run("index", at("run/x.bam"))
	p.run("index", local)
	stored(t, g, bucket, "run/x.bam.bai", local+".bai")
	for _, region := range []string{"chr1:1-3000", "chr1:400000-406000", "chr2:899000-900000", "chr2", "chr1:999000-999999"} {
		got := p.run("view", "--no-PG", at("run/x.bam"), region)
		if want := p.run("view", "--no-PG", local, region); got != want {
			t.Errorf("%s: %d lines instead of %d", region, strings.Count(got, "\n"), strings.Count(want, "\n"))
		}
	}
	if n := strings.TrimSpace(p.run("view", "-c", at("run/x.bam"), "chr1:400000-406000")); n == "0" {
		t.Error("nothing in a region with reads")
	}
	if out := p.run("flagstat", at("run/x.bam")); !strings.HasPrefix(out, fmt.Sprintf("%d + 0 in total", 2*reads)) {
		t.Errorf("flagstat: %s", out)
	}

	p.fails("fail", "view", at("run/absent.bam"))
	// Half of it is missed.
	whole, err := os.ReadFile(local)
	must(t, err)
	_, err = newMinio(t, g).Client.PutObject(t.Context(), bucket, "run/half.bam", bytes.NewReader(whole[:len(whole)/2]), int64(len(whole)/2), minio.PutObjectOptions{})
	must(t, err)
	p.fails("missing EOF block", "quickcheck", "-v", at("run/half.bam"))
	p.with("AWS_SECRET_ACCESS_KEY=another").fails("ermission denied", "view", at("run/x.bam"))
}

// alignments are two chromosomes with reads every step bases, as SAM.
func alignments(reads, step int) string {
	var b strings.Builder
	b.WriteString("@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000000\n@SQ\tSN:chr2\tLN:1000000\n")
	bases := random(1, 0, int64(2*reads*50))
	for c := range 2 {
		for i := range reads {
			at := (c*reads + i) * 50
			read := bases[at : at+50]
			for j := range read {
				read[j] = "ACGT"[read[j]%4]
			}
			fmt.Fprintf(&b, "r%d\t0\tchr%d\t%d\t60\t50M\t*\t0\t0\t%s\t%s\n", at, c+1, i*step+1, read, strings.Repeat("I", 50))
		}
	}
	return b.String()
}
