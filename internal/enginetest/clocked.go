package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// Clocked is a Rig whose clock the test moves.
type Clocked struct {
	*Rig
	Now time.Time
}

// NewClocked returns a Clocked with a bucket of that versioning.
func NewClocked(t *testing.T, v meta.Versioning) *Clocked {
	t.Helper()
	c := clocked(NewBare(t))
	c.Reopen()
	c.B = c.CreateBucket("first-bucket", "")
	c.Versioning(v)
	return c
}

// clocked gives a rig a clock for its next engine.
func clocked(r *Rig) *Clocked {
	c := &Clocked{Rig: r, Now: time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)}
	c.Config.Now = func() time.Time { return c.Now }
	return c
}

// Versioning sets the versioning of B.
func (c *Clocked) Versioning(v meta.Versioning) {
	c.T.Helper()
	if v != meta.VersioningOff {
		if err := c.E.Buckets().SetVersioning(c.T.Context(), c.B, v); err != nil {
			c.T.Fatal(err)
		}
	}
	c.Reread()
}

// Reread reads the row of B again.
func (c *Clocked) Reread() {
	c.T.Helper()
	b, err := c.E.Buckets().Get(c.T.Context(), c.B.Name)
	if err != nil {
		c.T.Fatal(err)
	}
	c.B = b
}

// Rules gives B these lifecycle rules, without a minimum size.
func (c *Clocked) Rules(document string) {
	c.T.Helper()
	doc := []byte(`{"minimum_size":"varies_by_storage_class","rules":[` + document + `]}`)
	if err := c.E.Buckets().SetSetting(c.T.Context(), c.B, engine.LifecycleSetting, doc); err != nil {
		c.T.Fatal(err)
	}
	c.Reread()
}

// Versions lists the versions of the keys of B, the newest first: sizes, and -1 for
// a marker.
func (c *Clocked) Versions() map[string][]int64 {
	c.T.Helper()
	out := make(map[string][]int64)
	for q := (meta.VersionQuery{Bucket: c.B.ID, Limit: meta.MaxPage}); ; {
		page, err := c.E.ListVersions(c.T.Context(), q)
		if err != nil {
			c.T.Fatal(err)
		}
		for _, v := range page.Entries {
			n := v.Size
			if v.Marker {
				n = -1
			}
			out[v.Key] = append(out[v.Key], n)
		}
		if q.AfterKey, q.AfterVersion = page.NextKey, page.NextVersion; !page.More {
			return out
		}
	}
}

// WantVersions demands exactly these versions.
func (c *Clocked) WantVersions(want map[string][]int64) {
	c.T.Helper()
	if got := c.Versions(); fmt.Sprint(got) != fmt.Sprint(want) {
		c.T.Errorf("versions are %v, want %v", got, want)
	}
}

// WantClean is that of Rig, after the condemned blobs are old enough.
func (c *Clocked) WantClean(blobs int) {
	c.T.Helper()
	for range 3 { // uploads, then reservations, then blobs
		c.Now = c.Now.Add(time.Second)
		c.Collect()
	}
	c.Now = c.Now.Add(time.Second)
	c.Rig.WantClean(blobs)
}
