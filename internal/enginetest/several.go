package enginetest

import (
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
)

// East, West and Swiss are three backends of a configuration, East the default.
const (
	East  = "east"
	West  = "west"
	Swiss = "swiss"
)

// Several is a Clocked on three backends in memory.
type Several struct {
	*Clocked
	At map[string]backends.Backend // the unwrapped backends, by name
}

// NewSeveral returns a Several with a bucket.
func NewSeveral(t *testing.T) *Several {
	t.Helper()
	s := &Several{
		Clocked: clocked(NewBare(t)),
		At:      map[string]backends.Backend{East: mem.New(), West: mem.New(), Swiss: mem.New()},
	}
	s.Config.Backends = []blobs.Backend{
		{Name: Swiss, Backend: s.At[Swiss], Region: "zurich", Jurisdiction: "CH"},
		{Name: East, Backend: s.At[East], Region: "eu-east-1", Jurisdiction: "EU"},
		{Name: West, Backend: s.At[West], Region: "eu-west-1", Jurisdiction: "EU"},
	}
	s.Config.Default, s.Config.Region = East, "us-east-1"
	s.Reopen()
	s.B = s.CreateBucket("first-bucket", "")
	return s
}

// WantBlobs demands this number of blobs on each backend, without markers.
func (s *Several) WantBlobs(want map[string]int) {
	s.T.Helper()
	for name, b := range s.At {
		n := 0
		for info, err := range b.List(s.T.Context(), backends.BlobID{}) {
			if err != nil {
				s.T.Fatal(err)
			}
			if info.Size > 0 {
				n++
			}
		}
		if n != want[name] {
			s.T.Errorf("%d blobs on %s, want %d", n, name, want[name])
		}
	}
}
