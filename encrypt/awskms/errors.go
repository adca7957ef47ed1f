package awskms

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/sanctum-storage/gateway/encrypt"
)

// errClosed is the error of every call after Close.
var errClosed = fmt.Errorf("closed: %w", encrypt.ErrUnavailable)

// request is a request to KMS, for the words of its error.
type request struct {
	permission string // that it needs
	key        string // that it is about, as it was sent
	region     string
}

// badKey are the codes for a key of another kind or form than the request wants.
var badKey = []string{"InvalidKeyUsageException", "ValidationException", "InvalidArnException", "UnsupportedOperationException"}

// badCredential are the codes for a credential that KMS does not accept, whatever it may do.
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
var badCredential = []string{
	"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
	"IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException",
	"RequestExpired", "OptInRequired", "NotAuthorized",
}

// isRefusal reports whether KMS did not accept the credential.
func isRefusal(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer) && isOneOf(badCredential, answer.ErrorCode())
}

// failed maps the error of a request to the contract's. Its text names the setting to look
// at. It has no text of the service's, which could repeat what was sent.
//
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func (r request) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: KMS in %s did not answer%s", encrypt.ErrUnavailable, r.region, because(err))
	}
	code, with := answer.ErrorCode(), detail(answer.ErrorCode(), err)
	switch {
	case code == "DisabledException":
		return fmt.Errorf("key: %s: %w%s", r.key, encrypt.ErrKeyDisabled, with)
	case code == "NotFoundException":
		return fmt.Errorf("key: KMS in %s has no %s: %w%s", r.region, r.key, encrypt.ErrKeyNotFound, with)
	case (code == "KMSInvalidStateException" || code == "KMSInvalidState") && deleting(answer.ErrorMessage()):
		return fmt.Errorf("key: the deletion of %s is scheduled: %w%s", r.key, encrypt.ErrKeyNotFound, with)
	case code == "KMSInvalidStateException" || code == "KMSInvalidState":
		return fmt.Errorf("key: %s is in a state in which it cannot be used: %w%s", r.key, encrypt.ErrUnavailable, with)
	case code == "IncorrectKeyException":
		return fmt.Errorf("key: %s did not wrap this: %w%s", r.key, encrypt.ErrWrongKey, with)
	case code == "InvalidCiphertextException":
		return fmt.Errorf("key: %s did not wrap this, or not for this use: %w%s", r.key, encrypt.ErrWrongKey, with)
	case code == "AccessDeniedException" || code == "AccessDenied":
		return fmt.Errorf("credentials: the permission %s for %s is missing: %w%s", r.permission, r.key, encrypt.ErrDenied, with)
	case isOneOf(badCredential, code):
		return fmt.Errorf("credentials: KMS in %s does not accept them, or this machine's clock is wrong: %w%s", r.region, encrypt.ErrDenied, with)
	case isOneOf(badKey, code):
		return fmt.Errorf("key: %s is not an enabled symmetric encryption key in %s: %w%s", r.key, r.region, encrypt.ErrDenied, with)
	}
	return fmt.Errorf("%w: KMS in %s answers with an error%s", encrypt.ErrUnavailable, r.region, with)
}

func isOneOf(codes []string, code string) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// deleting reports whether the text about a key's state says that it is being deleted:
// "… is pending deletion.", for a primary key with replicas "… is pending replica deletion.".
func deleting(text string) bool {
	text = strings.ToLower(strings.ReplaceAll(text, " ", ""))
	return strings.Contains(text, "pendingdeletion") || strings.Contains(text, "pendingreplicadeletion")
}

var (
	plainCode = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)
	plainID   = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// detail is the service's code and the id of the request, by which AWS finds it.
func detail(code string, err error) string {
	if !plainCode.MatchString(code) {
		code = "an unknown code"
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && plainID.MatchString(answer.ServiceRequestID()) {
		return fmt.Sprintf(" (%s, request %s)", code, answer.ServiceRequestID())
	}
	return " (" + code + ")"
}

// because gives the cause of a request without an answer, if it is the network's. Errors of
// decoders could repeat the answer.
func because(err error) string {
	if errors.Is(err, errClear) {
		return ": " + errClear.Error()
	}
	var sending *smithy.OperationError
	var decoding *smithy.DeserializationError
	if errors.As(err, &decoding) {
		return " in its form"
	}
	var sent interface{ HTTPStatusCode() int }
	if errors.As(err, &sent) && sent.HTTPStatusCode() != 0 {
		return fmt.Sprintf(" in its form, but with HTTP %d", sent.HTTPStatusCode())
	}
	if errors.As(err, &sending) {
		return ": " + sending.Err.Error()
	}
	return ": " + err.Error()
}

// malformed is the error for an answer that KMS cannot give.
func (r request) malformed(what string) error {
	return fmt.Errorf("%w: KMS in %s answers %s with %s", encrypt.ErrUnavailable, r.region, r.permission, what)
}
