// Package s3err is the gateway's one vocabulary of errors: the codes of the S3
// API with their HTTP status and default text. Every other package may import
// it; it imports nothing of ours and never renders, logs or retries.
//
// A Code is itself an error, so a bare `return s3err.NoSuchKey` is complete.
// Where a message or extra fields help the client, wrap the code with New.
// An error without a code anywhere in its chain is an InternalError, and its
// text is for the log only.
package s3err

import (
	"errors"
	"fmt"
	"time"
)

// Code is the value of <Code> in an S3 error document.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
type Code string

// Error returns the code and its default message.
func (c Code) Error() string { return string(c) + ": " + c.Message() }

// Status is the HTTP status that goes with the code; 500 for one unknown here.
func (c Code) Status() int {
	if e, ok := table[c]; ok {
		return e.status
	}
	return 500
}

// Message is the default human-readable text of the code.
func (c Code) Message() string {
	if e, ok := table[c]; ok {
		return e.message
	}
	return table[InternalError].message
}

// Field is one extra element of an error document, such as <ArgumentName>.
type Field struct{ Name, Value string }

// Error is a Code with a message of its own, extra fields and a cause.
// Message, Fields and RetryAfter reach the client; Cause goes to the log only.
type Error struct {
	Code    Code
	Message string // empty: the code's default
	Fields  []Field
	Cause   error
	// RetryAfter is how long the client of a 503 is asked to wait; 0: the
	// renderer chooses.
	RetryAfter time.Duration
}

// New returns an Error whose message is formatted; an empty format keeps the
// code's default message. The message goes to the client, so it must have no
// secret and no internal name.
func New(c Code, format string, args ...any) *Error {
	e := &Error{Code: c}
	if format != "" {
		e.Message = fmt.Sprintf(format, args...)
	}
	return e
}

// Wrap returns an Error that carries cause for the log and shows the client
// nothing but the code's default message.
func Wrap(c Code, cause error) *Error { return &Error{Code: c, Cause: cause} }

// With adds a field and returns the receiver. It changes the receiver, which
// must not be shared yet.
func (e *Error) With(name, value string) *Error {
	e.Fields = append(e.Fields, Field{name, value})
	return e
}

// Error describes the error for a log, the cause included.
func (e *Error) Error() string {
	m := e.Message
	if m == "" {
		m = e.Code.Message()
	}
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", string(e.Code), m, e.Cause)
	}
	return string(e.Code) + ": " + m
}

// Unwrap lets errors.Is find both the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Code, e.Cause}
	}
	return []error{e.Code}
}

// From finds what the client is to be told about err: the outermost *Error in
// its chain, or the bare Code, or InternalError with err as the cause.
// It returns nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var c Code
	if errors.As(err, &c) {
		return &Error{Code: c, Cause: err}
	}
	return &Error{Code: InternalError, Cause: err}
}
