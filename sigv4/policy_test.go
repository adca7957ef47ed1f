package sigv4

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/sanctum-storage/gateway/s3err"
)

func signedPolicy() Policy {
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2013-05-25T00:00:00Z","conditions":[]}`))
	return Policy{Policy: policy, Algorithm: algorithm, Credential: exampleScope, Date: "20130524T000000Z",
		Signature: signer.PostPresignSignatureV4(policy, exampleTime, exampleSecret, "us-east-1")}
}

func TestVerifyPolicy(t *testing.T) {
	v := exampleVerifier()
	id, err := v.VerifyPolicy(context.Background(), signedPolicy())
	if err != nil || id.AccessKey != exampleKey || id.Payload != Unsigned {
		t.Fatalf("%+v, %v", id, err)
	}
	if _, err := v.VerifyPolicy(context.Background(), Policy{}); !errors.Is(err, ErrAnonymous) {
		t.Errorf("no fields: %v", err)
	}
	for name, test := range map[string]struct {
		edit    func(p *Policy)
		code    s3err.Code
		message string
	}{
		"no policy":     {func(p *Policy) { p.Policy = "" }, s3err.InvalidArgument, "'policy'"},
		"no signature":  {func(p *Policy) { p.Signature = "" }, s3err.InvalidArgument, "'x-amz-signature'"},
		"algorithm":     {func(p *Policy) { p.Algorithm = algorithmA }, s3err.InvalidArgument, "AWS4-HMAC-SHA256"},
		"date":          {func(p *Policy) { p.Date = "20130524" }, s3err.InvalidArgument, "ISO8601"},
		"other date":    {func(p *Policy) { p.Date = "20130525T000000Z" }, s3err.InvalidArgument, "not the same"},
		"credential":    {func(p *Policy) { p.Credential = exampleKey }, s3err.InvalidArgument, "mal-formed"},
		"region":        {func(p *Policy) { p.Credential = exampleKey + "/20130524/x/s3/aws4_request" }, s3err.InvalidArgument, "region"},
		"unknown key":   {func(p *Policy) { p.Credential = "AKIAOTHER/20130524/us-east-1/s3/aws4_request" }, s3err.InvalidAccessKeyID, ""},
		"token":         {func(p *Policy) { p.SecurityToken = "t" }, s3err.InvalidToken, ""},
		"other policy":  {func(p *Policy) { p.Policy += "Cg==" }, s3err.SignatureDoesNotMatch, ""},
		"bad signature": {func(p *Policy) { p.Signature = "0" + p.Signature[1:] + "0" }, s3err.SignatureDoesNotMatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := signedPolicy()
			test.edit(&p)
			_, err := v.VerifyPolicy(context.Background(), p)
			refused(t, err, test.code, test.message)
		})
	}
}
