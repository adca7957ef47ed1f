package api

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/s3err"
)

// loggedDeletion is the result for one key of a DeleteObjects.
type loggedDeletion struct {
	key, version string
	size         int64
	err          *s3err.Error // nil: it was deleted
}

// noteDeletions keeps the result of each key for the log.
func (r *Request) noteDeletions(entries []deleteEntry, outcomes []engine.Deleted) {
	r.deletions = make([]loggedDeletion, len(entries))
	for i, e := range entries {
		d := loggedDeletion{
			key: *e.Key, version: outcomes[i].Version.String(), size: outcomes[i].Size, err: s3err.From(outcomes[i].Err),
		}
		// A failed key has the version that was asked for.
		if e.VersionID != nil && d.err != nil {
			d.version = bareField(*e.VersionID)
		}
		r.deletions[i] = d
	}
}

// fields returns the fields of the key's own record: those of the request,
// except the fields about the key and those that only a whole request has.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
func (d *loggedDeletion) fields(request accessFields) accessFields {
	f := request
	f[logOperationField], f[logKeyField] = "BATCH.DELETE.OBJECT", loggedKey(d.key)
	f[logStatus], f[logCode] = decimal(http.StatusNoContent), ""
	if d.err != nil {
		f[logStatus], f[logCode] = decimal(d.err.Code.Status()), string(d.err.Code)
	}
	f[logURI], f[logSent], f[logTotal], f[logTurnAround], f[logReferer], f[logAgent] = "", "", "", "", "", ""
	f[logSize], f[logVersion] = positive(d.size), d.version
	return f
}

// lifecycleSender is the requester of lifecycle records.
const lifecycleSender = "AmazonS3"

// LogLifecycle buffers a record of a lifecycle action if the bucket has
// logging.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html
func (s *Server) LogLifecycle(e lifecycle.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), logLookUp)
	defer cancel()
	s.logRecords(ctx, e.Bucket, nil, e.Time, 1, func() [][]byte {
		var id [8]byte
		rand.Read(id[:])
		var f accessFields
		f[logOwner], f[logBucket], f[logTime] = e.Bucket.Owner.Canonical(), e.Bucket.Name, logStamp(e.Time)
		f[logRequester], f[logRequest] = lifecycleSender, upperHex(id[:])
		f[logOperationField], f[logKeyField] = lifecycleOperation(e), loggedKey(e.Key)
		f[logURI], f[logReferer], f[logAgent] = quotedField(""), quotedField(""), quotedField("")
		f[logSize], f[logVersion] = positive(e.Size), e.Version.String()
		return [][]byte{f.record()}
	})
}

// transitionNames name the transitions to S3's classes. A transition to another
// class has the bare name.
var transitionNames = map[string]string{
	"STANDARD_IA": "_SIA", "ONEZONE_IA": "_ZIA", "INTELLIGENT_TIERING": "_INT", "GLACIER_IR": "_GIR",
}

// lifecycleOperation names a lifecycle action as server access logs do.
func lifecycleOperation(e lifecycle.Event) string {
	switch e.Act {
	case lifecycle.Marked:
		return "S3.CREATE.DELETEMARKER"
	case lifecycle.Aborted:
		return "S3.DELETE.UPLOAD"
	case lifecycle.Moved:
		return "S3.TRANSITION" + transitionNames[e.Class] + ".OBJECT"
	}
	return "S3.EXPIRE.OBJECT"
}
