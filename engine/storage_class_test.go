package engine_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

func (r *rig) class(key string) string {
	r.t.Helper()
	o, err := r.e.HeadObject(r.t.Context(), engine.GetObject{Bucket: r.b, Key: key})
	if err != nil {
		r.t.Fatal(err)
	}
	return o.Object.StorageClass
}

func (r *rig) putClass(b meta.Bucket, key, class string, data []byte) error {
	_, err := r.e.PutObject(r.t.Context(), engine.PutObject{Bucket: b, Key: key, Owner: b.Owner, Attributes: engine.Attributes{StorageClass: class},
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
	return err
}

// A class that names a backend places what is written.
func TestClassPlaces(t *testing.T) {
	s := newSeveralRig(t)
	data := body(1, 70_000)
	if err := s.putClass(s.b, "put", west, data); err != nil {
		t.Fatal(err)
	}
	if _, err := s.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: s.b, SourceKey: "put", Bucket: s.b, Key: "copy", Owner: s.b.Owner,
		Attributes: engine.Attributes{StorageClass: swiss}}); err != nil {
		t.Fatal(err)
	}
	u, err := s.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: s.b, Key: "parts", Owner: s.b.Owner, Attributes: engine.Attributes{StorageClass: west}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.complete(u, s.part(u, 1, data)); err != nil {
		t.Fatal(err)
	}
	s.wantBlobs(map[string]int{west: 2, swiss: 1})
	for key, want := range map[string]string{"put": west, "copy": swiss, "parts": west} {
		if got := s.class(key); got != want {
			t.Errorf("%s has class %q, want %q", key, got, want)
		}
		s.wantBody(key, data)
	}
	strict := s.bucket("strict-bucket", "eu-east-1")
	for _, body := range [][]byte{data, nil} {
		if err := s.putClass(strict, "k", west, body); !errors.Is(err, s3err.InvalidStorageClass) {
			t.Errorf("outside its residency: %v", err)
		}
	}
	if _, err := s.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: strict, Key: "k", Owner: strict.Owner, Attributes: engine.Attributes{StorageClass: west}}); !errors.Is(err, s3err.InvalidStorageClass) {
		t.Errorf("an upload outside its residency: %v", err)
	}
	s.wantClean(3)
}

// With one backend its name is a class as well, and nothing has to move.
func TestClassOfTheOnlyBackend(t *testing.T) {
	r := newRig(t)
	if err := r.putClass(r.b, "k", "local", body(1, 100)); err != nil {
		t.Fatal(err)
	}
	if !r.e.PlaceClass("local") || r.e.PlaceClass("STANDARD") || r.e.PlaceClass("nowhere") {
		t.Error("what is a class is not the backend's name alone")
	}
	r.wantClean(1)
}

// Rules that the engine cannot read may lead anywhere: a bucket that has some shares no
// bytes with one that demands a place.
func TestNothingIsSharedByUnknownRules(t *testing.T) {
	s := newSeveralRig(t)
	strict := s.bucket("strict-bucket", "eu-east-1")
	s.mustPut("k", body(1, 10_000))
	copies := 0
	share := func(key string, want int) {
		t.Helper()
		b, err := s.e.Buckets().Get(t.Context(), s.b.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: b, SourceKey: "k", Bucket: strict, Key: key, Owner: strict.Owner}); err != nil {
			t.Fatal(err)
		}
		copies += want
		s.wantBlobs(map[string]int{east: 1 + copies})
	}
	share("without rules", 0)
	if err := s.e.Buckets().SetSetting(t.Context(), s.b, engine.LifecycleSetting, []byte(`{"rules":[]}`)); err != nil {
		t.Fatal(err)
	}
	share("unknown rules", 1)
	s.config.TransitionClasses = func([]byte) ([]string, error) { return []string{"STANDARD_IA", east}, nil }
	s.reopen()
	share("rules that lead to the same place", 0)
	s.config.TransitionClasses = func([]byte) ([]string, error) { return []string{west}, nil }
	s.reopen()
	share("rules that lead elsewhere", 1)
}
