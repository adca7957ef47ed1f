//go:build clients

package clienttest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Clients for Node beside the AWS SDK.
func TestLanceDB(t *testing.T)      { onEach(t, moreNode("lancedb.js")) }
func TestMinioJS(t *testing.T)      { onEach(t, moreNode("minio.js")) }
func TestSDKForJS2(t *testing.T)    { onEach(t, moreNode("sdk2.cjs")) }
func TestS3SyncClient(t *testing.T) { onEach(t, moreNode("sync.js")) }

// Servers of resumable uploads, which are killed in the middle of some.
func TestTusS3Store(t *testing.T) { onFirst(t, moreNode("tus.js")) }

func TestTusd(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		tusd := installed(t, g, servers.Tusd)
		testScript(t, g, requireMoreNode(t, g).with("TUSD="+tusd.path), script(t, "jsmore/tus.js"))
	})
}

func moreNode(name string) func(*testing.T, *gateway) {
	return func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, requireMoreNode(t, g), script(t, "jsmore/"+name))
	}
}

func requireMoreNode(t *testing.T, g *gateway) *program {
	t.Helper()
	if _, err := os.Stat("jsmore/node_modules/tus-js-client"); err != nil {
		t.Fatal("clients for Node are missing: run scripts/setup.sh clients, or apt-get install npm and npm ci in internal/clienttest/jsmore")
	}
	return require(t, g, node(t), "nodejs")
}

// Clients in Python, of Debian.
func TestSmartOpen(t *testing.T) {
	onEach(t, morePython("python3-smart-open", "testdata/smart_open_client.py"))
}

func TestLibcloud(t *testing.T) {
	onEach(t, morePython("python3-libcloud", "testdata/libcloud_client.py"))
}

func TestDjangoStorages(t *testing.T) {
	onEach(t, morePython("python3-django-storages-boto3", "testdata/django_storages_client.py"))
}

func morePython(debian, name string) func(*testing.T, *gateway) {
	return func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, require(t, g, "/usr/bin/python3", debian), script(t, name))
	}
}

// TestS4cmd moves folders with s4cmd.
func TestS4cmd(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		p := require(t, g, "/usr/bin/s4cmd", "s4cmd")
		p.version("--version")
		bucket := bucketName(t)
		must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
		folder, back := corpusFolder(t, allSizes...), filepath.Join(p.home, "back")
		s4 := func(args ...string) string { return p.run(append([]string{"--endpoint-url", g.s3}, args...)...) }
		s4("put", "--recursive", "--sync-check", folder, "s3://"+bucket+"/")
		s4("put", "--recursive", "--sync-check", folder, "s3://"+bucket+"/") // again: nothing to do
		s4("cp", "--recursive", "s3://"+bucket+"/"+filepath.Base(folder)+"/", "s3://"+bucket+"/copy/")
		must(t, os.Mkdir(back, 0o700))
		s4("get", "--recursive", "s3://"+bucket+"/copy/*", back)
		sameTree(t, filepath.Join(back, filepath.Base(folder)), folder)
		s4("del", "--recursive", "s3://"+bucket+"/copy/")
		if left := s4("ls", "--recursive", "s3://"+bucket+"/copy/"); left != "" {
			t.Errorf("left after all was deleted: %s", left)
		}
	})
}
