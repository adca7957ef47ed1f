package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
)

// ErrNoBucket: the bucket of the options does not exist.
var ErrNoBucket = errors.New("bucket does not exist")

// Error codes by what they amount to:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what
// MinIO, Ceph and others send beside them. A code that is not here goes by its
// HTTP status.
var codes = []struct {
	is    error
	hint  string
	codes []string
}{
	{backends.ErrThrottled, "", []string{"SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded",
		"Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequests", "BandwidthLimitExceeded"}},
	{backends.ErrDenied, "the clock of this machine or of the backend is off", []string{"RequestTimeTooSkewed", "RequestExpired"}},
	{backends.ErrDenied, "the access key is not known there", []string{"InvalidAccessKeyId", "XAdminUserNotFound"}},
	{backends.ErrDenied, "the secret key is wrong, or something between alters requests", []string{"SignatureDoesNotMatch"}},
	{backends.ErrDenied, "the session token is wrong or has expired", []string{"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}},
	{backends.ErrDenied, "check region and endpoint", []string{"AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect",
		"TemporaryRedirect", "IllegalLocationConstraintException"}},
	{backends.ErrDenied, "the key lacks a right", []string{"AccessDenied", "AllAccessDisabled", "AccountProblem", "UnauthorizedAccess"}},
	{backends.ErrFull, "", []string{"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
		"EntityTooLarge", "StorageQuotaExceeded"}},
	{backends.ErrCorrupt, "the bytes changed on their way", []string{"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}},
	{backends.ErrUnavailable, "", []string{"RequestTimeout", "IncompleteBody", "InternalError", "ServiceUnavailable", "OperationAborted"}},
	{ErrNoBucket, "", []string{"NoSuchBucket"}},
	{backends.ErrNotFound, "", absentCodes},
}

// absentCodes say that an object is not there.
var absentCodes = []string{"NoSuchKey", "NotFound"}

// errNoProof: an object is said not to be there by a status alone, which a proxy that
// has lost its way says as well.
var errNoProof = fmt.Errorf("%w: HTTP 404 without the error document of S3: check the endpoint, and what stands before it", backends.ErrUnavailable)

// plainCode is how error codes look. Other text of an answer is not repeated:
// it may hold anything, our own signature included.
var plainCode = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)

// failed makes an error of a request into one of the contract's. The reader of
// a body has been asked for its own error before.
func (b *Backend) failed(ctx context.Context, x *exchange, err error) error {
	if err == nil {
		return nil
	}
	if cause := ended(ctx); cause != nil {
		return cause
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return unreached(err)
	}
	if answer.StatusCode == 0 {
		answer.StatusCode = x.status // an error in the body of a 200
	}
	hint, is := meaning(answer)
	text := answer.Code
	if !plainCode.MatchString(text) {
		text = "an error without a known code"
	}
	text = fmt.Sprintf("%s (HTTP %d)", text, answer.StatusCode)
	if hint != "" {
		text += ": " + hint
	}
	after := x.header.Get("Retry-After")
	throttled := is == backends.ErrThrottled || (is == backends.ErrUnavailable && after != "")
	switch {
	case throttled:
		return &backends.Throttled{After: backends.ParseRetryAfter(after, time.Now()), Err: errors.New(text)}
	case is == ErrNoBucket:
		return fmt.Errorf("bucket %q: %w", b.opts.Bucket, is)
	case is == backends.ErrNotFound && x.status == http.StatusNotFound && !x.absent:
		return errNoProof
	case is == backends.ErrNotFound:
		return is
	case is == nil:
		return errors.New("the backend answers " + text)
	}
	return fmt.Errorf("%w: %s", is, text)
}

// meaning is the contract's error for an answer, nil if there is none.
func meaning(answer minio.ErrorResponse) (hint string, is error) {
	for _, c := range codes {
		if slices.Contains(c.codes, answer.Code) {
			return c.hint, c.is
		}
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "", backends.ErrDenied
	case status == http.StatusNotFound && answer.Code == "": // of which failed wants proof
		return "", backends.ErrNotFound
	case status == http.StatusTooManyRequests:
		return "", backends.ErrThrottled
	case status == http.StatusInsufficientStorage:
		return "", backends.ErrFull
	case status == http.StatusNotImplemented: // never gets better
		return "", nil
	case status >= http.StatusInternalServerError || status == http.StatusRequestTimeout:
		return "", backends.ErrUnavailable
	}
	return "", nil
}

// unreached is for requests that have no answer, or half of one.
func unreached(err error) error {
	if errors.Is(err, errUnsigned) {
		return err
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err // without the URL, which is long and known
	}
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	if errors.As(err, &authority) || errors.As(err, &host) {
		return fmt.Errorf("%w: check ca file and endpoint: %w", backends.ErrUnavailable, err)
	}
	if errors.Is(err, outbound.ErrExcessive) || errors.Is(err, outbound.ErrStatus) {
		return fmt.Errorf("%w: %w", backends.ErrCorrupt, err)
	}
	if errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrDenied) {
		return err
	}
	// Not wrapped: an io.ErrUnexpectedEOF of the connection would read as a
	// blob that is too short.
	return fmt.Errorf("%w: %v", backends.ErrUnavailable, err)
}

// code is the S3 code and status of an error of minio-go.
func code(err error) (string, int) {
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	return answer.Code, answer.StatusCode
}

// ended is the reason why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
