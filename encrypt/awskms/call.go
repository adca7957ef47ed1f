package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sanctum-storage/gateway/encrypt"
)

// do makes one request within the timeout, with a credential. A credential that KMS refuses
// is one request to its source, and one more request to KMS.
func (p *Provider) do(ctx context.Context, r request, call func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.closed.Load() {
		return errClosed
	}
	within, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	credential, err := p.credentials.Retrieve(within)
	if err != nil {
		return noCredential(ctx, err)
	}
	err = call(within)
	if isRefusal(err) {
		again, lost := p.credentials.refused(within, credential)
		if lost != nil {
			return noCredential(ctx, lost)
		}
		if again {
			err = call(within)
		}
	}
	if err != nil {
		return r.failed(ctx, err)
	}
	return ctx.Err()
}

// passing are the codes of STS for what may work later, although their status blames the
// request.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
var passing = []string{"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "IDPCommunicationError"}

// noCredential is the error for a source of credentials that gave none. A refusal, as of STS
// for a role, is no outage.
func noCredential(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return fmt.Errorf("credentials: there are none: %w: %v", encrypt.ErrUnavailable, err)
	}
	with, refused := detail(answer.ErrorCode(), err), answer.ErrorFault() == smithy.FaultClient
	var sent *smithyhttp.ResponseError
	if errors.As(err, &sent) {
		refused = sent.HTTPStatusCode()/100 == 4 && sent.HTTPStatusCode() != http.StatusTooManyRequests
	}
	if refused && !isOneOf(passing, answer.ErrorCode()) {
		return fmt.Errorf("credentials: their source refuses: %w%s", encrypt.ErrDenied, with)
	}
	return fmt.Errorf("credentials: their source answers with an error: %w%s", encrypt.ErrUnavailable, with)
}
