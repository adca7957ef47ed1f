package clienttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// versions is the life of a key with versions, through aws-cli.
func (c *awsTest) versions(t *testing.T) {
	v := *c
	v.bucket += "-v"
	v.s3("mb", v.at(""))
	v.api(nil, "put-bucket-versioning", "--versioning-configuration", "Status=Enabled")
	var status struct{ Status string }
	if v.api(&status, "get-bucket-versioning"); status.Status != "Enabled" {
		t.Errorf("versioning is %q", status.Status)
	}
	var ids []string
	for _, text := range []string{"first", "second"} {
		var made struct{ VersionId string }
		v.api(&made, "put-object", "--key", "k", "--body", writeFile(t, filepath.Join(t.TempDir(), text), text))
		ids = append(ids, made.VersionId)
	}
	v.s3("rm", v.at("k"))
	v.fails("404", "--endpoint-url", v.url, "s3api", "head-object", "--bucket", v.bucket, "--key", "k")
	type entry struct {
		Key, VersionId string
		IsLatest       bool
	}
	var list struct{ Versions, DeleteMarkers []entry }
	v.api(&list, "list-object-versions")
	if len(list.Versions) != 2 || len(list.DeleteMarkers) != 1 || list.Versions[0].VersionId != ids[1] || !list.DeleteMarkers[0].IsLatest {
		t.Fatalf("listed %+v; written %q", list, ids)
	}
	v.api(nil, "delete-object", "--key", "k", "--version-id", list.DeleteMarkers[0].VersionId)
	for id, want := range map[string]string{"": "second", ids[0]: "first"} {
		args := []string{"--key", "k", filepath.Join(t.TempDir(), "got")}
		if id != "" {
			args = append(args, "--version-id", id)
		}
		v.api(nil, "get-object", args...)
		if got, err := os.ReadFile(args[2]); err != nil || string(got) != want {
			t.Errorf("version %q: %q, %v; want %q", id, got, err, want)
		}
	}
	for _, id := range ids {
		v.api(nil, "delete-object", "--key", "k", "--version-id", id)
	}
	v.s3("rb", v.at(""))
}

// versions is the same through minio-go.
func (m *minioTest) versions(t *testing.T) {
	ctx, bucket := t.Context(), m.bucket+"-v"
	must(t, m.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}))
	must(t, m.EnableVersioning(ctx, bucket))
	var ids []string
	for _, text := range []string{"first", "second"} {
		info, err := m.Client.PutObject(ctx, bucket, "k", strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		must(t, err)
		ids = append(ids, info.VersionID)
	}
	must(t, m.RemoveObject(ctx, bucket, "k", minio.RemoveObjectOptions{}))
	var marker string
	listed := 0
	for o := range m.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{WithVersions: true}) {
		must(t, o.Err)
		listed++
		if o.IsDeleteMarker && o.IsLatest {
			marker = o.VersionID
		}
	}
	if listed != 3 || marker == "" {
		t.Fatalf("%d versions listed, the marker is %q", listed, marker)
	}
	must(t, m.RemoveObject(ctx, bucket, "k", minio.RemoveObjectOptions{VersionID: marker}))
	info, err := m.StatObject(ctx, bucket, "k", minio.StatObjectOptions{})
	must(t, err)
	if info.VersionID != ids[1] {
		t.Errorf("undeleted: version %s, want %s", info.VersionID, ids[1])
	}
	for o := range m.RemoveObjects(ctx, bucket, m.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{WithVersions: true}), minio.RemoveObjectsOptions{}) {
		must(t, o.Err)
	}
	must(t, m.RemoveBucket(ctx, bucket))
}
