package sigv4

import (
	"net/http"
	"reflect"
	"testing"
	"time"
)

// mutations calls f once for each byte of s, with that byte changed.
func mutations(s string, f func(mutated string)) {
	for i := range len(s) {
		b := []byte(s)
		b[i] ^= 1
		f(string(b))
	}
}

// TestMutations changes every byte of signed requests, one at a time.
func TestMutations(t *testing.T) {
	header := signedGet(t, "us-east-1", "s3", exampleTime, func(r *http.Request) {
		r.URL.Path = "/bucket/a key/../ümlaut"
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Range", "bytes=0-9")
		r.Header["X-Amz-Meta-List"] = []string{"one", "two"}
	})
	query := presignedGet(t, "us-east-1", "s3", exampleTime, time.Minute)
	tried := 0
	for _, signed := range []*http.Request{header, query} {
		original, err := ParseTarget(signed.RequestURI)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifyArrived(exampleVerifier(), signed); err != nil {
			t.Fatal(err)
		}
		try := func(what string, edit func(r *http.Request)) {
			r := signed.Clone(t.Context())
			r.RequestURI = signed.RequestURI
			edit(r)
			tried++
			id, err := verifyArrived(exampleVerifier(), r)
			if err == nil || id != nil {
				t.Errorf("accepted %s: %v", what, err)
			}
		}
		mutations(signed.RequestURI, func(m string) {
			if target, err := ParseTarget(m); err == nil && target.Path == original.Path && reflect.DeepEqual(target.Query, original.Query) {
				t.Fatalf("%s means the same target", m)
			}
			try("target "+m, func(r *http.Request) { r.RequestURI = m })
		})
		mutations(signed.Host, func(m string) { try("host "+m, func(r *http.Request) { r.Host = m }) })
		mutations(signed.Method, func(m string) { try("method "+m, func(r *http.Request) { r.Method = m }) })
		for name, values := range signed.Header {
			if name == "User-Agent" {
				continue
			}
			for i, value := range values {
				mutations(value, func(m string) { try(name+": "+m, func(r *http.Request) { r.Header[name][i] = m }) })
			}
			try("no "+name, func(r *http.Request) {
				if delete(r.Header, name); name == "Authorization" {
					r.Header[name] = []string{""}
				}
			})
			try("more "+name, func(r *http.Request) { r.Header.Add(name, "x") })
		}
		try("an x-amz header more", func(r *http.Request) { r.Header.Set("X-Amz-Anything", "") })
	}
	if tried < 500 {
		t.Errorf("only %d mutations", tried)
	}
}
