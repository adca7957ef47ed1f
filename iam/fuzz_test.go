package iam_test

import (
	"net/url"
	"testing"

	"github.com/sanctum-storage/gateway/iam"
)

func FuzzForm(f *testing.F) {
	f.Add([]byte("Action=ListUsers&Version=2010-05-08"))
	f.Add([]byte("a=%&b=+&&=;"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := iam.ParseForm(body)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(string(body))
		if err != nil || len(want) != len(got) {
			t.Fatalf("%q is %v", body, got)
		}
		for name, v := range got {
			if want.Get(name) != v || len(want[name]) != 1 {
				t.Fatalf("%q has %q=%q", body, name, v)
			}
		}
	})
}

func FuzzWebToken(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJpIiwic3ViIjoicyIsImF1ZCI6WyJhIl19.")
	f.Add("e30.e30.")
	f.Fuzz(func(_ *testing.T, text string) { _ = iam.ParseToken(text) })
}
