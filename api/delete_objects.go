package api

import (
	"encoding/xml"
	"log/slog"
	"math"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// maxDeletes is the number of keys that one DeleteObjects may name.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
const maxDeletes = 1000

// deleteDocument is the body of a DeleteObjects request.
type deleteDocument struct {
	Objects []deleteEntry `xml:"Object" max:"1000"`
	Quiet   bool          `xml:"Quiet"`
}

// deleteEntry names one object and conditions on its state. Pointers
// distinguish absent elements from empty ones.
type deleteEntry struct {
	Key              *string `xml:"Key"`
	VersionID        *string `xml:"VersionId"`
	ETag             *string `xml:"ETag"`
	LastModifiedTime *string `xml:"LastModifiedTime"`
	Size             *string `xml:"Size"`
}

// sound implements the check of decodeXML for required elements.
func (e *deleteEntry) sound() bool { return e.Key != nil && *e.Key != "" }

// deleteResult is the answer to DeleteObjects. It has status 200 even if every
// key failed.
type deleteResult struct {
	XMLName xml.Name        `xml:"DeleteResult"`
	Deleted []deletedKey    `xml:"Deleted"`
	Failed  []deleteFailure `xml:"Error"`
}

// deletedKey reports a deletion. VersionID is that of a version deleted
// permanently; the last two elements tell that a delete marker was created or
// removed.
type deletedKey struct {
	Key             string `xml:"Key"`
	VersionID       string `xml:"VersionId,omitempty"`
	DeleteMarker    *bool  `xml:"DeleteMarker,omitempty"`
	MarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

// deleteFailure reports a key that was not deleted.
type deleteFailure struct {
	Key       string `xml:"Key"`
	VersionID string `xml:"VersionId,omitempty"`
	Code      string `xml:"Code"`
	Message   string `xml:"Message"`
}

// deleteObjects deletes up to maxDeletes keys and reports the result of each.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
func deleteObjects(s *Server, r *Request) (*Reply, error) {
	if err := r.demandDigest(); err != nil {
		return nil, err
	}
	var doc deleteDocument
	if err := decodeXML(r.XML, "Delete", &doc); err != nil {
		return nil, err
	}
	if len(doc.Objects) == 0 {
		return nil, s3err.MalformedXML
	}
	outcomes, err := s.deleteEach(r, doc.Objects)
	if err != nil {
		return nil, err
	}
	r.noteDeletions(doc.Objects, outcomes)
	result := deleteResult{}
	for i, e := range doc.Objects {
		version := ""
		if e.VersionID != nil {
			version = *e.VersionID
		}
		if failed := s3err.From(outcomes[i].Err); failed != nil {
			result.Failed = append(result.Failed, deleteFailure{*e.Key, version, string(failed.Code), messageOf(failed)})
		} else if !doc.Quiet {
			result.Deleted = append(result.Deleted, deletedAs(*e.Key, version, outcomes[i]))
		}
	}
	return &Reply{XML: result}, nil
}

// deletedAs makes a line of the answer. version is the entry's, as sent.
func deletedAs(key, version string, d engine.Deleted) deletedKey {
	line := deletedKey{Key: key, VersionID: version}
	if d.Marker || version != "" { // for a named version S3 always tells
		line.DeleteMarker = &d.Marker
	}
	if d.Marker {
		line.MarkerVersionID = d.Version.String()
	}
	return line
}

// deleteEach deletes the allowed entries and returns one outcome for each
// entry. Every key is authorized by itself. An error means that the document as
// a whole is invalid and nothing was deleted: all entries are read and decided
// before the first one is deleted.
func (s *Server) deleteEach(r *Request, entries []deleteEntry) ([]engine.Deleted, error) {
	outcomes := make([]engine.Deleted, len(entries))
	var deletions []engine.DeleteObject
	var positions []int // of the deletions among the entries
	for i := range entries {
		if err := r.Context().Err(); err != nil {
			return nil, s3err.Wrap(s3err.RequestTimeout, err) // nothing was deleted, and nobody waits for it
		}
		d, err := entries[i].deletion()
		if err != nil {
			return nil, err
		}
		if outcomes[i].Err = r.decideDeletion(&entries[i], &d); outcomes[i].Err == nil {
			deletions = append(deletions, d)
			positions = append(positions, i)
		}
	}
	if err := r.undecidable(); err != nil {
		// Such keys were denied, and the client is not told why.
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "delete objects", slog.String("request_id", r.ID), slog.String("reason", err.Error()))
	}
	if len(deletions) == 0 {
		return outcomes, nil
	}
	if err := r.checkBypass(); err != nil {
		return nil, err
	}
	var internal error
	for j, done := range s.engine.DeleteObjects(r.Context(), r.Bucket, deletions) {
		done.Err = r.hide(done.Err) // a condition on a key that holds nothing
		outcomes[positions[j]] = done
		if e := s3err.From(done.Err); e != nil && e.Code.Status() >= 500 {
			internal = e
		}
	}
	if internal != nil {
		// The request as a whole succeeds, so that only this line tells of the
		// error.
		s.log.LogAttrs(r.Context(), slog.LevelError, "delete objects", slog.String("request_id", r.ID), slog.String("error", internal.Error()))
	}
	return outcomes, nil
}

// decideDeletion decides about one entry, and gives its deletion what follows
// from the decision. The error is the entry's outcome.
func (r *Request) decideDeletion(e *deleteEntry, d *engine.DeleteObject) error {
	if r.undecidable() != nil {
		return s3err.AccessDenied
	}
	o := object{bucket: r.Bucket, key: d.Key}
	if e.VersionID != nil && *e.VersionID != "" {
		o.version = saying(engine.ParseVersion(*e.VersionID))
		d.Version = o.version.value
	}
	if d.IfMatch != "" {
		o.context = access.Context{"s3:if-match": {d.IfMatch}}
	}
	decision := r.decide(r.needVersion("s3:DeleteObject", "s3:DeleteObjectVersion", &o))
	switch {
	// The denial comes first: without permission nobody learns from other
	// errors.
	case !decision.Allow, !r.allows(e.compareNeeds(r)):
		return s3err.AccessDenied
	case o.version.err != nil:
		return s3err.NoSuchVersion
	case CheckKey(d.Key) != nil:
		return CheckKey(d.Key)
	}
	d.Owner, d.Bypass = r.objectOwner(), r.bypass(&o)
	d.Replaces = r.replaces(decision)
	if o.found != nil {
		d.Judged = &engine.Judged{Found: o.found, Permit: r.permitDeletion(&o, e)}
	}
	return nil
}

// permitDeletion decides again when the engine finds another object under the
// key.
func (r *Request) permitDeletion(o *object, e *deleteEntry) engine.Permit {
	return func(f *engine.Found) error {
		o.found = f
		if !r.decide(r.needVersion("s3:DeleteObject", "s3:DeleteObjectVersion", o)).Allow || !r.allows(e.compareNeeds(r)) {
			return s3err.AccessDenied
		}
		return nil
	}
}

// deletion converts the entry for the engine. An unreadable condition makes the
// document malformed, because ignoring it would delete against the client's
// condition.
func (e deleteEntry) deletion() (engine.DeleteObject, error) {
	var d engine.DeleteObject
	d.Key = *e.Key
	if e.ETag != nil {
		if d.IfMatch = *e.ETag; d.IfMatch == "" {
			return d, s3err.MalformedXML
		}
	}
	if e.Size != nil {
		n, ok := strict.Number(*e.Size, math.MaxInt64)
		if !ok {
			return d, s3err.MalformedXML
		}
		d.IfSize = &n
	}
	if e.LastModifiedTime != nil {
		if d.IfModified = conditionDate(*e.LastModifiedTime); d.IfModified.IsZero() {
			return d, s3err.MalformedXML
		}
	}
	return d, nil
}

// messageOf returns the error's message for the client.
func messageOf(e *s3err.Error) string {
	if e.Message != "" {
		return e.Message
	}
	return e.Code.Message()
}

// demandDigest refuses a body without a digest: a document that was corrupted
// on the way could delete other keys.
func (r *Request) demandDigest() error {
	claimed, _, err := claimedChecksum(r.HTTP.Header)
	if err != nil {
		return err
	}
	late, err := announcedChecksum(announced(r.HTTP.Header))
	if err != nil {
		return err
	}
	if claimed == "" && late == "" && !r.HasHeader("Content-Md5") {
		return s3err.New(s3err.InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return nil
}
