//go:build clients

package clienttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestRegistry is Docker's registry with its S3 driver, with skopeo to push and
// pull images.
func TestRegistry(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		debian := require(t, g, "docker-registry", "docker-registry")
		debian.version("--version")
		testRegistry(t, g, debian)
	})
}

// TestRegistry3 is its successor.
func TestRegistry3(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		testRegistry(t, g, installed(t, g, servers.Registry))
	})
}

func testRegistry(t *testing.T, g *gateway, registry *program) {
	c := &registryTest{g: g, bucket: bucketName(t), registry: registry.with(noTraces), skopeo: require(t, g, "skopeo", "skopeo")}
	c.skopeo.version("--version")
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	c.start(t, secretKey)
	c.image = ociImage(t, 1, 70_000, 12*mib)
	c.push(t)
	c.pull(t, "first", c.image)
	c.shared(t)
	c.refused(t)
	c.collected(t)
}

// noTraces keeps the registry from telling a collector of traces on this machine,
// as it does by default from version 3 on.
const noTraces = "OTEL_TRACES_EXPORTER=none"

type registryTest struct {
	g                *gateway
	bucket           string
	registry, skopeo *program

	config, address string
	process         *servers.Process
	image           string // an OCI layout
}

// start serves the registry. Blobs are redirected to the gateway by presigned
// URLs, as the driver does by default.
func (c *registryTest) start(t *testing.T, secret string) {
	t.Helper()
	addresses, err := servers.FreeAddresses(1)
	must(t, err)
	c.address = addresses[0]
	dir := t.TempDir()
	c.config = writeFile(t, filepath.Join(dir, "config.yml"), fmt.Sprintf(`version: 0.1
log: {level: warn}
storage:
  s3: {accesskey: %q, secretkey: %q, region: %q, regionendpoint: %q, bucket: %q, rootdirectory: /images, secure: false, v4auth: true, forcepathstyle: true, chunksize: 5242880}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: %q, secret: of the test}
`, accessKey, secret, region, c.g.s3, c.bucket, c.address))
	c.process, err = servers.Start(servers.Spec{Name: "registry", Program: c.registry.path, Args: []string{"serve", c.config}, Env: []string{noTraces}, Log: filepath.Join(dir, "log")})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.process.Tail())
		}
		if err := c.process.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, c.process.Ready(context.Background(), servers.AnswersOK("http://"+c.address+"/v2/")))
}

func (c *registryTest) at(name string) string { return "docker://" + c.address + "/" + name }

func (c *registryTest) copy(from, to string) []string {
	return []string{"--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", from, to}
}

func (c *registryTest) push(t *testing.T) {
	c.skopeo.run(c.copy("oci:"+c.image+":latest", c.at("some/image:first"))...)
	noUploads(t, c.g, c.bucket)
	// Every blob of the image is an object, by the digest that names it.
	for _, name := range treeOf(t, filepath.Join(c.image, "blobs/sha256")) {
		key := "images/docker/registry/v2/blobs/sha256/" + name[:2] + "/" + name + "/data"
		stored(t, c.g, c.bucket, key, filepath.Join(c.image, "blobs/sha256", name))
	}
	var tags struct{ Tags []string }
	must(t, json.Unmarshal([]byte(c.skopeo.run("list-tags", "--tls-verify=false", c.at("some/image"))), &tags))
	if len(tags.Tags) != 1 || tags.Tags[0] != "first" {
		t.Errorf("tags: %q", tags.Tags)
	}
}

// pull demands that a tag is the image, blob by blob.
func (c *registryTest) pull(t *testing.T, tag, image string) {
	t.Helper()
	back := filepath.Join(t.TempDir(), "back")
	c.skopeo.run(c.copy(c.at("some/image:"+tag), "oci:"+back+":latest")...)
	sameTree(t, filepath.Join(back, "blobs"), filepath.Join(image, "blobs"))
}

// shared is a second image, a layer of which is there already, and a tag that
// moves.
func (c *registryTest) shared(t *testing.T) {
	second := ociImage(t, 1, 70_000, 300_000)
	c.skopeo.run(c.copy("oci:"+second+":latest", c.at("some/image:second"))...)
	c.pull(t, "second", second)
	c.pull(t, "first", c.image)
	c.skopeo.run(c.copy(c.at("some/image:second"), c.at("another/image:moved"))...)
	out := c.skopeo.run("inspect", "--raw", "--tls-verify=false", c.at("another/image:moved"))
	manifest, err := os.ReadFile(filepath.Join(second, "blobs/sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(out)))))
	must(t, err)
	if out != string(manifest) {
		t.Errorf("manifest: %s", out)
	}
}

func (c *registryTest) refused(t *testing.T) {
	c.skopeo.fails("manifest unknown", "inspect", "--tls-verify=false", c.at("some/image:absent"))
	// An upload that is broken off leaves an upload of parts to be cancelled.
	resp, _ := fetch(t, http.MethodPost, "http://"+c.address+"/v2/some/image/blobs/uploads/", nil, http.StatusAccepted)
	fetch(t, http.MethodDelete, resp.Header.Get("Location"), nil, http.StatusNoContent)
	noUploads(t, c.g, c.bucket)
}

// collected deletes an image and has the registry remove what only it used.
func (c *registryTest) collected(t *testing.T) {
	before := usage(t, c.g, c.bucket)
	c.skopeo.run("delete", "--tls-verify=false", c.at("some/image:first"))
	c.skopeo.fails("manifest unknown", "inspect", "--tls-verify=false", c.at("some/image:first"))
	c.registry.run("garbage-collect", c.config)
	if after := usage(t, c.g, c.bucket); after > before-12*mib {
		t.Errorf("%d bytes of %d are left after collecting a layer of 12 MiB", after, before)
	}
	noUploads(t, c.g, c.bucket)
	c.skopeo.run("inspect", "--raw", "--tls-verify=false", c.at("some/image:second"))
}

// ociImage makes an OCI image layout with one layer of each size.
// Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func ociImage(t *testing.T, sizes ...int64) string {
	t.Helper()
	dir := t.TempDir()
	type descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	put := func(kind string, b []byte) descriptor {
		d := descriptor{MediaType: "application/vnd.oci.image." + kind, Digest: digest(b), Size: len(b)}
		writeFile(t, filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(d.Digest, "sha256:")), string(b))
		return d
	}
	asJSON := func(v any) []byte {
		b, err := json.Marshal(v)
		must(t, err)
		return b
	}
	var layers []descriptor
	var plain []string
	for _, size := range sizes {
		layer, packed := ociLayer(t, size)
		plain = append(plain, digest(layer))
		layers = append(layers, put("layer.v1.tar+gzip", packed))
	}
	config := put("config.v1+json", asJSON(map[string]any{"architecture": "amd64", "os": "linux",
		"rootfs": map[string]any{"type": "layers", "diff_ids": plain}}))
	manifest := put("manifest.v1+json", asJSON(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config, "layers": layers}))
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	writeFile(t, filepath.Join(dir, "index.json"), string(asJSON(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})))
	writeFile(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
	return dir
}

// ociLayer is a layer with a file of the size, as tar and compressed.
func ociLayer(t *testing.T, size int64) (plain, packed []byte) {
	t.Helper()
	var layer, out bytes.Buffer
	w := tar.NewWriter(&layer)
	must(t, w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: size}))
	_, err := w.Write(random(uint64(size), 0, size))
	must(t, err)
	must(t, w.Close())
	z := gzip.NewWriter(&out)
	_, err = z.Write(layer.Bytes())
	must(t, err)
	must(t, z.Close())
	return layer.Bytes(), out.Bytes()
}
