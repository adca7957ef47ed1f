package api

import "github.com/sanctum-storage/gateway/s3err"

// unkept is the first thing that a document asks for which S3 knows and the gateway does
// not have. It is told when the whole document was read: what is malformed is told first,
// as by S3, which has no such thing to tell.
type unkept struct{ err error }

// note takes note of one, in words for the client.
func (u *unkept) note(format string, args ...any) {
	if u.err == nil {
		u.err = s3err.New(s3err.NotImplemented, format, args...)
	}
}
