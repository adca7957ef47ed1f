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

// Error codes with their meanings:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and further
// codes of MinIO, Ceph and others. For other codes the HTTP status decides.
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

// absentCodes mean that an object does not exist.
var absentCodes = []string{"NoSuchKey", "NotFound"}

// errNoProof: only a status says that an object does not exist. A misconfigured
// proxy sends the same status.
var errNoProof = fmt.Errorf("%w: HTTP 404 without the error document of S3: check the endpoint and the proxies in front of it", backends.ErrUnavailable)

// plainCode is the form of error codes. Other text of a response is not repeated,
// because it may contain anything, even our own signature.
var plainCode = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)

// failed turns an error of a request into one of the contract's. The caller has
// already checked the error of a body's reader.
func (b *Backend) failed(ctx context.Context, x *exchange, err error) error {
	if err == nil {
		return nil
	}
	if cause := backends.Ended(ctx); cause != nil {
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

// meaning returns the contract's error for a response, or nil.
func meaning(answer minio.ErrorResponse) (hint string, is error) {
	for _, c := range codes {
		if slices.Contains(c.codes, answer.Code) {
			return c.hint, c.is
		}
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "", backends.ErrDenied
	case status == http.StatusNotFound && answer.Code == "": // failed demands proof of this
		return "", backends.ErrNotFound
	case status == http.StatusTooManyRequests:
		return "", backends.ErrThrottled
	case status == http.StatusInsufficientStorage:
		return "", backends.ErrFull
	case status == http.StatusNotImplemented: // a retry does not help
		return "", nil
	case status >= http.StatusInternalServerError || status == http.StatusRequestTimeout:
		return "", backends.ErrUnavailable
	}
	return "", nil
}

// unreached is the error of a request with no response or an incomplete one.
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
	// Not wrapped: an io.ErrUnexpectedEOF of the connection must not look like a
	// blob that is too short.
	return fmt.Errorf("%w: %v", backends.ErrUnavailable, err)
}

// code returns the S3 code and status of an error of minio-go.
func code(err error) (string, int) {
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	return answer.Code, answer.StatusCode
}
