package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
)

// uploadsPage is the number of uploads whose parts one snapshot counts.
const uploadsPage = 100

// uploads compares every upload with the rows of its parts.
func (v *verification) uploads(ctx context.Context) error {
	for after := (meta.ID{}); ; {
		var page []*uploadCheck
		err := v.run.Snapshot(ctx, func(tx Tx) (err error) {
			page, err = readUploads(tx, after)
			if err != nil || len(page) == 0 {
				return err
			}
			return countParts(tx, page)
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, u := range page {
			after = u.id
			if wrong := u.wrong(); wrong != "" {
				v.fault(Fault{Kind: "part-count", Table: "uploads", Row: u.id.String(), Detail: wrong})
			}
		}
	}
}

// uploadCheck is an upload with the counts of its parts.
type uploadCheck struct {
	id           meta.ID
	state, parts int64
	runs         []meta.PartRun
	damaged      error // of the chosen column
	rows, chosen int64
}

func readUploads(tx Tx, after meta.ID) ([]*uploadCheck, error) {
	return collect(tx, func(r Row) (*uploadCheck, error) {
		u := &uploadCheck{}
		var chosen []byte
		err := r.Scan((*idColumn)(&u.id), &u.state, &u.parts, &chosen)
		u.runs, u.damaged = splitRuns(chosen)
		return u, err
	}, "SELECT id, state, parts, chosen FROM uploads WHERE id > ? ORDER BY id LIMIT ?", after[:], uploadsPage)
}

// countParts reads the part numbers of all uploads of a page, in the order of
// uploads.
func countParts(tx Tx, page []*uploadCheck) error {
	first, last := page[0].id, page[len(page)-1].id
	rows, err := tx.Query("SELECT upload_id, number FROM parts WHERE upload_id >= ? AND upload_id <= ? ORDER BY upload_id, number",
		first[:], last[:])
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var upload meta.ID
		var number int
		if err := rows.Scan((*idColumn)(&upload), &number); err != nil {
			return err
		}
		for len(page) > 0 && bytes.Compare(page[0].id[:], upload[:]) < 0 {
			page = page[1:]
		}
		if len(page) == 0 || page[0].id != upload {
			continue // a part without an upload breaks a rule of its own
		}
		page[0].rows++
		if isChosen(page[0].runs, number) {
			page[0].chosen++
		}
	}
	return rows.Err()
}

// wrong describes the contradiction; empty if there is none. A dying upload loses
// its parts step by step without updating its count.
func (u *uploadCheck) wrong() string {
	if u.state == uploadDying {
		return ""
	}
	if u.damaged != nil {
		return u.damaged.Error()
	}
	want, _ := countChosen(u.runs) // splitRuns has checked them
	switch {
	case u.state == uploadOpen && u.rows != u.parts:
		return fmt.Sprintf("it counts %d parts, but there are %d", u.parts, u.rows)
	case u.state != uploadOpen && u.chosen != want:
		return fmt.Sprintf("the object consists of %d parts, of which %d exist", want, u.chosen)
	case u.state == uploadCompleted && u.rows != want:
		return fmt.Sprintf("the object consists of %d parts, but there are %d", want, u.rows)
	}
	return ""
}

// references counts the references to blobs and uploads, in rounds over ranges of
// their ids: no index leads from a body to its versions and parts.
func (v *verification) references(ctx context.Context) error {
	blobs, uploads := newTally("blobs"), newTally("uploads")
	for {
		for _, t := range []*tally{blobs, uploads} {
			if err := t.load(ctx, v); err != nil {
				return fmt.Errorf("verify references to %s: %w", t.table.name, err)
			}
		}
		if blobs.done && uploads.done {
			return nil
		}
		for _, t := range []relation{
			newRelation("objects", 2, "bucket_id key body_kind body_id"),
			newRelation("versions", 3, "bucket_id key rank body_kind body_id"),
		} {
			if err := v.bodiesOf(ctx, t, blobs, uploads); err != nil {
				return fmt.Errorf("verify bodies of %s: %w", t.name, err)
			}
		}
		if err := v.blobsOfParts(ctx, blobs); err != nil {
			return fmt.Errorf("verify blobs of parts: %w", err)
		}
		blobs.settle(v)
		uploads.settle(v)
	}
}

// tally holds a range of the ids of blobs or uploads, each with the number of
// counted references that have not been found.
type tally struct {
	table relation
	low   []byte // exclusive; nil: from the first
	high  []byte // nil: no upper bound
	done  bool   // all ranges were loaded
	left  map[string]int64
}

func newTally(table string) *tally { return &tally{table: newRelation(table, 1, "id refs")} }

// load loads the next range.
func (t *tally) load(ctx context.Context, v *verification) error {
	t.done = t.done || t.left != nil && t.high == nil
	t.low, t.high, t.left = t.high, nil, make(map[string]int64)
	for after := idKey(t.low); !t.done; {
		page, err := t.table.page(ctx, v.run, t.table.allColumns(), after, verifyRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			id, _ := r[0].([]byte)
			refs, _ := r[1].(int64)
			t.left[string(id)] = refs
		}
		after = page[len(page)-1][:1]
		if len(t.left) >= v.bodies {
			t.high, _ = after[0].([]byte)
			return nil
		}
	}
	return nil
}

func idKey(id []byte) row {
	if id == nil {
		return nil
	}
	return row{id}
}

// refer counts a reference, and reports whether its target exists. Targets outside
// the range belong to another round.
func (t *tally) refer(id []byte) bool {
	if t.done || bytes.Compare(id, t.low) <= 0 || t.high != nil && bytes.Compare(id, t.high) > 0 {
		return true
	}
	n, ok := t.left[string(id)]
	if ok {
		t.left[string(id)] = n - 1
	}
	return ok
}

// settle reports counts that are too high or too low. It reports the difference,
// which stays the same while the damaged row is in use.
func (t *tally) settle(v *verification) {
	for _, id := range slices.Sorted(maps.Keys(t.left)) {
		if n := t.left[id]; n != 0 {
			v.fault(Fault{Kind: "reference-count", Table: t.table.name, Row: row{[]byte(id)}.String(),
				Detail: fmt.Sprintf("counted references that do not exist: %+d", n)})
		}
	}
}

// bodiesOf counts the references in the last two columns of a table.
func (v *verification) bodiesOf(ctx context.Context, t relation, blobs, uploads *tally) error {
	for after := row(nil); ; {
		page, err := t.page(ctx, v.run, t.allColumns(), after, verifyRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			id, _ := r[t.key+1].([]byte)
			switch r[t.key] {
			case int64(meta.BodyBlob):
				v.refer(blobs, id, t, r[:t.key])
			case int64(meta.BodyUpload):
				v.refer(uploads, id, t, r[:t.key])
			}
		}
		after = page[len(page)-1][:t.key]
	}
}

func (v *verification) blobsOfParts(ctx context.Context, blobs *tally) error {
	t := newRelation("parts", 2, "upload_id number blobs")
	for after := row(nil); ; {
		page, err := t.page(ctx, v.run, t.allColumns(), after, verifyRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			joined, _ := r[2].([]byte)
			ids, err := splitBlobs(joined)
			if err != nil {
				return err
			}
			for _, id := range ids {
				v.refer(blobs, id[:], t, r[:2])
			}
		}
		after = page[len(page)-1][:2]
	}
}

func (v *verification) refer(to *tally, id []byte, t relation, key row) {
	if !to.refer(id) {
		v.fault(Fault{Kind: "body-missing", Table: t.name, Row: key.String(),
			Detail: "it refers to " + row{id}.String() + ", which is not in " + to.table.name})
	}
}
