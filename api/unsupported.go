package api

import "github.com/sanctum-storage/gateway/s3err"

// unsupported is the first setting in a document that S3 supports and the gateway
// does not. It is reported after the whole document was read: S3 reports a
// malformed document first, and never reports this.
type unsupported struct{ err error }

// note records the refusal, with a message for the client. Later calls are
// ignored.
func (u *unsupported) note(format string, args ...any) {
	if u.err == nil {
		u.err = s3err.New(s3err.NotImplemented, format, args...)
	}
}
