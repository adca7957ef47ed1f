package sigv4

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// vector is one folder of AWS's signing test suite.
type vector struct {
	dir     string
	context struct {
		Credentials struct {
			AccessKey string `json:"access_key_id"`
			Secret    string `json:"secret_access_key"`
			Token     string `json:"token"`
		}
		Region, Service string
		Timestamp       time.Time
	}
}

func (v *vector) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// request parses a request without net/http, which refuses the blank in some
// targets.
func (v *vector) request(t *testing.T, name string) (*http.Request, Target) {
	t.Helper()
	head, _, _ := strings.Cut(v.read(t, name), "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	r := &http.Request{Method: method, Header: http.Header{}, RequestURI: strings.TrimSuffix(rest, " HTTP/1.1")}
	var last string
	for _, line := range lines[1:] {
		if line[0] == ' ' {
			values := r.Header[last]
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		last = http.CanonicalHeaderKey(name)
		r.Header.Add(last, strings.TrimSpace(value))
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	target, err := ParseTarget(r.RequestURI)
	if err != nil {
		t.Fatal(err)
	}
	return r.WithContext(context.Background()), target
}

func (v *vector) verifier() *Verifier {
	return &Verifier{
		Region: v.context.Region, Service: v.context.Service,
		Now: func() time.Time { return v.context.Timestamp },
		Lookup: func(_ context.Context, accessKey, token string) (string, error) {
			if accessKey != v.context.Credentials.AccessKey {
				return "", s3err.InvalidAccessKeyID
			}
			if token != v.context.Credentials.Token {
				return "", s3err.InvalidToken
			}
			return v.context.Credentials.Secret, nil
		},
	}
}

func vectors(t *testing.T) []*vector {
	t.Helper()
	dirs, err := filepath.Glob("../testdata/sigv4/*/context.json")
	if err != nil || len(dirs) < 30 {
		t.Fatalf("found %d vectors, %v", len(dirs), err)
	}
	var all []*vector
	for _, file := range dirs {
		v := &vector{dir: filepath.Dir(file)}
		if err := json.Unmarshal([]byte(v.read(t, "context.json")), &v.context); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		for _, form := range []string{"header", "query"} {
			t.Run(filepath.Base(v.dir)+"/"+form, func(t *testing.T) {
				r, target := v.request(t, form+"-signed-request.txt")
				canonical := v.read(t, form+"-canonical-request.txt")
				payloadHash := canonical[strings.LastIndexByte(canonical, '\n')+1:]

				id, err := v.verifier().verify(r, target, payloadHash)
				// Only where the client added the token after signing.
				outside := v.context.Credentials.Token != "" && !strings.Contains(strings.ToLower(canonical), "x-amz-security-token")
				if outside {
					if !errors.Is(err, s3err.SignatureDoesNotMatch) && !errors.Is(err, s3err.AccessDenied) {
						t.Errorf("a token that is not signed: %v", err)
					}
				} else if err != nil {
					t.Errorf("verify: %v", err)
				} else if id.AccessKey != v.context.Credentials.AccessKey || id.Presigned != (form == "query") {
					t.Errorf("identity %+v", id)
				}

				c := v.claim(t, form, r, &target, canonical)
				got := canonicalRequest(r, target, c, strings.Split(c.signedHeaders, ";"), payloadHash)
				if string(got) != canonical {
					t.Errorf("canonical request\n%s\nwant\n%s", got, canonical)
				}
				toSign := stringToSign(c, got)
				if want := v.read(t, form+"-string-to-sign.txt"); string(toSign) != want {
					t.Errorf("string to sign\n%s\nwant\n%s", toSign, want)
				}
				key := deriveKey(v.context.Credentials.Secret, c.scope)
				want := strings.TrimSpace(v.read(t, form+"-signature.txt"))
				if got := string(signature(&key, toSign)); got != want || c.signature != want {
					t.Errorf("signature %s, in the request %s, want %s", got, c.signature, want)
				}
			})
		}
	}
}

// claim reads the request's claim without refusing session tokens. A token that
// was added after signing is removed from the query.
func (v *vector) claim(t *testing.T, form string, r *http.Request, target *Target, canonical string) *claim {
	t.Helper()
	c := newClaim(inHeader, v.context.Credentials.AccessKey, v.context.Region, v.context.Service, v.context.Timestamp)
	if form == "header" {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if _, err := c.parseComponents(rest); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c.place = inQuery
	c.signature, _ = target.Query.Get("X-Amz-Signature")
	c.signedHeaders, _ = target.Query.Get("X-Amz-SignedHeaders")
	if !strings.Contains(canonical, "X-Amz-Security-Token") {
		var without Query
		for _, p := range target.Query {
			if p.Name != "X-Amz-Security-Token" {
				without = append(without, p)
			}
		}
		target.Query = without
	}
	return c
}
