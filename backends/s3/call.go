package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/weakhash"
)

// ask sends a request about the bucket and decodes its response, a page, into a
// value with an XMLName. minio-go has no such calls that return one page with its
// continuation. The error is one of the contract's.
func (b *Backend) ask(ctx context.Context, method string, query url.Values, body []byte, into any) error {
	rctx, x := observed(outbound.Page(ctx))
	document, err := b.sent(rctx, method, query, body)
	if err != nil {
		return b.failed(ctx, x, err)
	}
	if err := xml.Unmarshal(document, into); err != nil {
		return fmt.Errorf("%w: its answer is not the expected XML document", backends.ErrCorrupt)
	}
	return nil
}

// sent returns the body of a successful response.
func (b *Backend) sent(ctx context.Context, method string, query url.Values, body []byte) ([]byte, error) {
	value, err := b.creds.GetWithContext(&credentials.CredContext{Context: ctx})
	if err != nil {
		return nil, err
	}
	u := *b.bucket
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if len(body) > 0 {
		sum := weakhash.MD5(body)
		req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		req.Header.Set("Content-Type", "application/xml")
	}
	req = signer.SignV4(*req, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, b.region)
	resp, err := (&guarded{b.limited, b.creds, b.region}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	document, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp, document)
	}
	return document, nil
}

// refusal reads an error document as minio-go does. Without one, only the status
// counts.
func refusal(resp *http.Response, document []byte) minio.ErrorResponse {
	answer := minio.ErrorResponse{}
	_ = xml.Unmarshal(document, &answer)
	answer.StatusCode = resp.StatusCode
	if answer.Region == "" {
		answer.Region = resp.Header.Get("X-Amz-Bucket-Region")
	}
	return answer
}
