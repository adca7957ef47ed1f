package encrypt_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// wholeVector is a version's row with the list record that vouches for it.
type wholeVector struct {
	Name              hexBytes `json:"name"`
	Version           hexBytes `json:"version"`
	Null              bool     `json:"null"`
	Marker            bool     `json:"marker"`
	Owner             hexBytes `json:"owner"`
	Size              int64    `json:"size"`
	Modified          int64    `json:"modified"`
	Class             string   `json:"class"`
	Encryption        uint8    `json:"encryption"`
	LockMode          uint8    `json:"lock_mode"`
	LockUntil         *int64   `json:"lock_until"`
	LockHold          bool     `json:"lock_hold"`
	BodyKind          uint8    `json:"body_kind"`
	Body              hexBytes `json:"body"`
	Revision          int64    `json:"revision"`
	Marks             hexBytes `json:"marks"`
	ETag              string   `json:"etag"`
	ChecksumAlgorithm string   `json:"checksum_algorithm"`
	ChecksumType      string   `json:"checksum_type"`
	Digest            hexBytes `json:"digest"` // of the rest of the row
	Sealed            hexBytes `json:"sealed"`
}

func (w *wholeVector) shown() *encrypt.RowShown {
	return &encrypt.RowShown{Null: w.Null, Marker: w.Marker, Owner: [16]byte(w.Owner), Size: w.Size, Modified: w.Modified, Class: w.Class}
}

func (w *wholeVector) rest() *encrypt.RowRest {
	return &encrypt.RowRest{Encryption: w.Encryption, LockMode: w.LockMode, LockHold: w.LockHold, LockUntil: w.LockUntil,
		BodyKind: w.BodyKind, Body: w.Body, Revision: w.Revision, Marks: w.Marks}
}

func (w *wholeVector) record() encrypt.WholeRecord {
	return encrypt.WholeRecord{ETag: w.ETag, ChecksumAlgorithm: w.ChecksumAlgorithm, ChecksumType: w.ChecksumType, Rest: [32]byte(w.Digest)}
}

func openRows(t *testing.T, v *vectors) {
	for i, w := range v.WholeRecords {
		got, err := v.bucketKeys().OpenWholeRecord(v.name(w.Name, w.Version), w.shown(), w.Sealed)
		if err != nil || got != w.record() || !encrypt.IsWholeRecord(w.Sealed) {
			t.Errorf("whole list record %d: %+v, %v", i, got, err)
		}
		if w.rest().Digest() != [32]byte(w.Digest) {
			t.Errorf("whole list record %d: another digest of the rest of the row", i)
		}
	}
}

func makeRows(v *vectors) {
	until := int64(1_900_000_000_000_001)
	for _, w := range []wholeVector{
		{Size: 1 << 40, Modified: 1_700_000_000_000_000, BodyKind: 1, Body: random(20), ETag: "e-2", ChecksumAlgorithm: "SHA1", ChecksumType: "COMPOSITE"},
		{Null: true, Modified: -1, Class: "GLACIER_IR", Encryption: 2, LockMode: 2, LockUntil: &until, LockHold: true,
			BodyKind: 2, Body: random(16), Revision: 300, Marks: random(60), ETag: "e"},
		{Marker: true},
	} {
		w.Name, w.Version, w.Owner = random(20), random(16), random(16)
		digest := w.rest().Digest()
		w.Digest = digest[:]
		record := w.record()
		w.Sealed = v.bucketKeys().SealWholeRecord(v.name(w.Name, w.Version), w.shown(), &record)
		v.WholeRecords = append(v.WholeRecords, w)
	}
}
