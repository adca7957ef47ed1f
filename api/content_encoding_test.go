package api_test

import "testing"

// aws-chunked is about the transfer. Other encodings of an object are shown as
// they were sent, for every way to create an object.
func TestContentEncodingAsSent(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/source", nil)
	for sent, want := range map[string]string{
		"deflate, aws-chunked, gzip": "deflate, gzip", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip , br": "gzip , br", "gzip": "gzip", "": "",
	} {
		header := []string{"Content-Encoding", sent}
		g.Must(t, 200, "PUT", "/bkt/put", []byte("x"), header...)
		g.Must(t, 200, "PUT", "/bkt/copy", nil, append(header, "X-Amz-Copy-Source", "/bkt/source", "X-Amz-Metadata-Directive", "REPLACE")...)
		id := newUpload(t, g, "/bkt/upload", header...)
		etag := sendPart(t, g, "/bkt/upload", id, 1, []byte("x"))
		g.Must(t, 200, "POST", "/bkt/upload?uploadId="+id, completeDocument(part(1, etag)))
		if res := good(g, []byte("x"), "key", "form", "Content-Encoding", sent).post(t, g, "/bkt"); res.Status != 204 {
			t.Fatalf("form with %q: %d %s", sent, res.Status, res.Body)
		}
		for _, key := range []string{"put", "copy", "upload", "form"} {
			if got := g.Must(t, 200, "HEAD", "/bkt/"+key, nil).Header.Get("Content-Encoding"); got != want {
				t.Errorf("%s, sent %q, shows %q, want %q", key, sent, got, want)
			}
		}
	}
}
