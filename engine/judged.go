package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// Judged is what was decided about, and who decides about any other: another version, or
// the same with other tags or another ACL. A commit holds it against the row that there
// is then. It is for one request.
type Judged struct {
	Found  *Found
	Permit Permit
	spent  bool // it was expected once, and was no longer so
}

// expect is what the store must find: the row that was decided about, or none.
func (j *Judged) expect() meta.Expect {
	v := &j.Found.version
	if v.ID.IsZero() {
		return meta.Expect{Kind: meta.ExpectAbsent}
	}
	return meta.Expect{Kind: meta.ExpectRow, Version: v.ID, Revision: v.Revision}
}

// first reports whether the row that was decided about may still be expected without
// another look. It is so once.
func (j *Judged) first() bool {
	was := j.spent
	j.spent = true
	return !was
}

// permits decides again about what there is if that is not what was decided about.
// A nil Judged permits everything: the rights do not rest on what the key holds.
func (j *Judged) permits(f *Found) error {
	if j == nil || f.version.ID == j.Found.version.ID && f.version.Revision == j.Found.version.Revision {
		return nil
	}
	err := j.Permit(f)
	if err == nil {
		j.Found = f
	}
	return err
}

// permitsCurrent is permits for what a key holds, where a marker is nothing.
func (j *Judged) permitsCurrent(v *meta.Version) error {
	if v.Marker {
		v = &meta.Version{}
	}
	return j.permits(&Found{version: *v})
}

// permitNamed decides again about the version that a deletion names.
// A version that is gone is judged as absent, for which the right may be another.
func (e *Engine) permitNamed(ctx context.Context, b meta.Bucket, d DeleteObject) error {
	if d.Judged == nil {
		return nil
	}
	f, err := e.Look(ctx, b, d.Key, d.Version)
	if err != nil {
		return err
	}
	return d.Judged.permits(f)
}
