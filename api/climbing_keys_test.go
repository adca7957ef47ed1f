package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
)

var (
	climbing = []string{"..", "../", "../up", "a/../..", "a/../../up", "/..", "//../x", "./../x", "a/./../../b", "a//../../b", "a/b/../../../c/d/e"}
	staying  = []string{"a/..", "a/../b", "a/b/../..", "a/b/../../c", "...", "a/...", "..a", "a..", "..%2Fb", ".", "./a", "a//..", "a/../b/../c"}
)

// escaped escapes a key for a request's path, in full or only where it must be.
func escaped(key string) []string {
	plain := (&url.URL{Path: "/" + key}).EscapedPath()[1:]
	return []string{plain, strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(key), "+", "%20"), ".", "%2E")}
}

// No request creates or finds a key that, as a path, leads above its bucket.
func TestClimbingKeys(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	for _, key := range climbing {
		for _, path := range escaped(key) {
			target := "/bkt/" + path
			for i := range api.Operations {
				op := &api.Operations[i]
				if op.Scope != api.ObjectScope || op.Method == http.MethodDelete {
					continue
				}
				query := strings.Join(op.Query, "&")
				headers := []string{}
				if op.Header != "" {
					headers = append(headers, op.Header, "/bkt/k")
				}
				res := g.Do(t, g.Root, op.Method, target+"?"+query, nil, headers...)
				if res.Status != 400 || op.Method != http.MethodHead && res.Code() != "InvalidURI" {
					t.Errorf("%s of %q: %d %s", op.Name, target, res.Status, res.Body)
				}
			}
		}
		expect(t, "form, "+key, good(g, []byte("x"), "key", key).post(t, g, "/bkt"), 400, "InvalidURI")
		named := good(g, []byte("x"), "key", key[:strings.LastIndex(key, "/")+1]+"${filename}")
		if named.filename = key[strings.LastIndex(key, "/")+1:]; named.filename == ".." {
			expect(t, "form by file, "+key, named.post(t, g, "/bkt"), 400, "InvalidURI")
		}
	}
	for _, prefix := range []string{"../", "a/../../"} {
		for query, document := range map[string]string{
			"logging":            logTo("<TargetBucket>bkt</TargetBucket><TargetPrefix>" + prefix + "</TargetPrefix>"),
			"inventory&id=daily": inventoryTo(":::target", ":::bkt", "inv/", prefix),
		} {
			expect(t, query+" "+prefix, g.Do(t, g.Root, "PUT", "/bkt?"+query, []byte(document)), 400, "InvalidArgument")
		}
	}
	if got := g.Must(t, 200, "GET", "/bkt?list-type=2", nil); got.Element("KeyCount") != "1" {
		t.Errorf("something was made: %s", got.Body)
	}
	for _, key := range staying {
		for _, path := range escaped(key) {
			g.Must(t, 200, "PUT", "/bkt/"+path, []byte(key))
			if got := content(t, g, "/bkt/"+path); string(got) != key {
				t.Errorf("%s holds %q", path, got)
			}
			g.Must(t, 204, "DELETE", "/bkt/"+path, nil)
		}
		if res := good(g, []byte("x"), "key", key).post(t, g, "/bkt"); res.Status != 204 {
			t.Errorf("form, %s: %d %s", key, res.Status, res.Body)
		}
	}
}

// An object that an earlier release accepted under such a key is not lost: it
// can be moved and deleted.
func TestClimbingKeysOfEarlierReleases(t *testing.T) {
	g := start(t)
	b, err := g.Engine.Buckets().Get(t.Context(), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../copied", "../renamed", "../deleted", "../batch"} {
		_, err := g.Engine.PutObject(t.Context(),
			engine.PutObject{Bucket: b, Key: key, Owner: b.Owner, Body: engine.Body{Reader: strings.NewReader(key), Size: int64(len(key))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	g.Must(t, 200, "PUT", "/bkt/copied", nil, "X-Amz-Copy-Source", "/bkt/../copied")
	g.Must(t, 200, "PUT", "/bkt/renamed?renameObject", nil, "X-Amz-Rename-Source", "/bkt/../renamed")
	for _, key := range []string{"copied", "renamed"} {
		if got := content(t, g, "/bkt/"+key); string(got) != "../"+key {
			t.Errorf("%s holds %q", key, got)
		}
	}
	g.Must(t, 204, "DELETE", "/bkt/../deleted", nil)
	g.Must(t, 204, "DELETE", "/bkt/../copied", nil)
	batch := []byte("<Delete><Object><Key>../batch</Key></Object></Delete>")
	g.Must(t, 200, "POST", "/bkt?delete", batch, "x-amz-checksum-crc32", sum(engine.CRC32, batch))
	if got := g.Must(t, 200, "GET", "/bkt?list-type=2", nil); got.Element("KeyCount") != "2" {
		t.Errorf("left: %s", got.Body)
	}
}

// A key that is not UTF-8 is refused in every request.
func TestKeysThatAreNoText(t *testing.T) {
	g := start(t)
	for _, key := range []string{"k%ff", "%C3%28", "%ED%A0%80", "a/%FE/b"} {
		for i := range api.Operations {
			op := &api.Operations[i]
			if op.Scope != api.ObjectScope {
				continue
			}
			headers := []string{}
			if op.Header != "" {
				headers = append(headers, op.Header, "/bkt/k")
			}
			res := g.Do(t, g.Root, op.Method, "/bkt/"+key+"?"+strings.Join(op.Query, "&"), nil, headers...)
			if res.Status != 400 {
				t.Errorf("%s of %s: %d %s", op.Name, key, res.Status, res.Body)
			}
		}
		for header, query := range map[string]string{"X-Amz-Copy-Source": "", "X-Amz-Rename-Source": "?renameObject"} {
			res := g.Do(t, g.Root, "PUT", "/bkt/new"+query, nil, header, "/bkt/"+key)
			if res.Status != 400 {
				t.Errorf("%s: %s: %d %s", header, key, res.Status, res.Body)
			}
		}
	}
}
