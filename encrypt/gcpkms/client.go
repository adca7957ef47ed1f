package gcpkms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/outbound"
)

const (
	// maxAttempts bounds the requests of one call. The second is for a failure of the
	// service's, of the way to it, or of its token.
	maxAttempts = 2
	// retryPause is the longest pause before the second, and half of it the shortest.
	retryPause = 200 * time.Millisecond
	// maxAnswer bounds an answer in bytes: a ciphertext in base64 with its names.
	maxAnswer = 32 << 10
)

// sums is the table of CRC32C.
var sums = crc32.MakeTable(crc32.Castagnoli)

// sumOf returns the CRC32C as the API writes it, an int64 in a string.
func sumOf(b []byte) string { return strconv.FormatUint(uint64(crc32.Checksum(b, sums)), 10) }

// encryptRequest and encryptAnswer are of
// https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
type encryptRequest struct {
	Plaintext    []byte `json:"plaintext"`
	AAD          []byte `json:"additionalAuthenticatedData"`
	PlaintextSum string `json:"plaintextCrc32c"`
	AADSum       string `json:"additionalAuthenticatedDataCrc32c"`
}

type encryptAnswer struct {
	Name              string      `json:"name"`
	Ciphertext        []byte      `json:"ciphertext"`
	CiphertextSum     json.Number `json:"ciphertextCrc32c"`
	VerifiedPlaintext bool        `json:"verifiedPlaintextCrc32c"`
	VerifiedAAD       bool        `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
}

// decryptRequest and decryptAnswer are of
// https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt
type decryptRequest struct {
	Ciphertext    []byte `json:"ciphertext"`
	AAD           []byte `json:"additionalAuthenticatedData"`
	CiphertextSum string `json:"ciphertextCrc32c"`
	AADSum        string `json:"additionalAuthenticatedDataCrc32c"`
}

type decryptAnswer struct {
	Plaintext    []byte      `json:"plaintext"`
	PlaintextSum json.Number `json:"plaintextCrc32c"`
}

// encrypt has the service encrypt the secret, and returns the version of the key that did.
func (p *Provider) encrypt(ctx context.Context, aad, secret []byte) (version string, ciphertext []byte, _ error) {
	name := p.key.String()
	if p.version != "" {
		name = versionName(p.key, p.version)
	}
	var answer encryptAnswer
	err := p.call(ctx, call{
		name: name, verb: "encrypt", permission: "cloudkms.cryptoKeyVersions.useToEncrypt",
		hidden:  [][]byte{secret, []byte(base64.StdEncoding.EncodeToString(secret))},
		request: encryptRequest{secret, aad, sumOf(secret), sumOf(aad)},
		read: func(body []byte) error {
			answer = encryptAnswer{}
			if err := json.Unmarshal(body, &answer); err != nil {
				return errForm
			}
			switch {
			case !answer.VerifiedPlaintext || !answer.VerifiedAAD:
				return errors.New("the service did not confirm the CRC32C of the request")
			case len(answer.Ciphertext) == 0 || len(answer.Ciphertext) > maxCiphertext:
				return errForm
			case answer.CiphertextSum.String() != sumOf(answer.Ciphertext):
				return errors.New("the CRC32C of the answer is wrong")
			}
			return nil
		},
	})
	if err != nil {
		return "", nil, err
	}
	key, version, ok := parseVersion(answer.Name)
	if !ok || !key.same(p.key) || p.version != "" && version != p.version {
		return "", nil, fmt.Errorf("%w: it encrypted with another key than %s", encrypt.ErrUnavailable, name)
	}
	return versionName(p.key, version), answer.Ciphertext, nil
}

// decrypt has the service decrypt what it encrypted. Every version of the key that is
// enabled does.
func (p *Provider) decrypt(ctx context.Context, aad, ciphertext []byte) ([]byte, error) {
	var answer decryptAnswer
	err := p.call(ctx, call{
		name: p.key.String(), verb: "decrypt", permission: "cloudkms.cryptoKeyVersions.useToDecrypt",
		request: decryptRequest{ciphertext, aad, sumOf(ciphertext), sumOf(aad)},
		read: func(body []byte) error {
			answer = decryptAnswer{}
			if err := json.Unmarshal(body, &answer); err != nil || len(answer.Plaintext) == 0 {
				return errForm
			}
			if answer.PlaintextSum.String() != sumOf(answer.Plaintext) {
				clear(answer.Plaintext)
				return errors.New("the CRC32C of the answer is wrong")
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return answer.Plaintext, nil
}

// call is one call of the API.
type call struct {
	name, verb string // of the resource, and of the method
	permission string // that the method needs
	request    any
	hidden     [][]byte // what no error may repeat
	// read decodes and checks an answer. Its error is that of an answer that is not to be
	// believed.
	read func(body []byte) error
}

// call sends the request, and sends it once more after a failure that may be over then.
func (p *Provider) call(ctx context.Context, c call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(p.ended, cancel)()
	var err error
	for attempt := 1; attempt <= maxAttempts; attempt++ {
		if p.closed.Load() {
			return fmt.Errorf("%w: closed", encrypt.ErrUnavailable)
		}
		var again *repeatable
		if err = p.attempt(within, c); err == nil || !errors.As(err, &again) || attempt == maxAttempts {
			break
		}
		select {
		case <-within.Done():
		case <-time.After(retryPause/2 + rand.N(retryPause/2)):
		}
	}
	switch {
	case err == nil || within.Err() == nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case p.closed.Load():
		return fmt.Errorf("%w: closed", encrypt.ErrUnavailable)
	}
	return fmt.Errorf("%w: no answer in %v", encrypt.ErrUnavailable, p.opts.Timeout)
}

// attempt sends the request once.
func (p *Provider) attempt(ctx context.Context, c call) error {
	token, err := p.tokens.Get(ctx)
	if err != nil {
		return tokenError(err)
	}
	body, err := json.Marshal(c.request)
	if err != nil {
		return err
	}
	sent := &cleared{rest: bytes.NewReader(body), all: body}
	defer sent.Close()
	req, err := http.NewRequestWithContext(outbound.Stream(ctx, maxAnswer), http.MethodPost, p.opts.Endpoint+"/v1/"+c.name+":"+c.verb, sent)
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := p.client.Do(req)
	if err != nil {
		return &repeatable{encrypt.ErrUnavailable, withoutURL(err)}
	}
	defer resp.Body.Close()
	answer := make([]byte, maxAnswer)
	defer clear(answer)
	n, err := io.ReadFull(resp.Body, answer)
	if err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: its answer has %d bytes or more, or breaks off", encrypt.ErrUnavailable, n)
	}
	if resp.StatusCode != http.StatusOK {
		return p.failure(c, resp.StatusCode, answer[:n], token)
	}
	if err := c.read(answer[:n]); err != nil {
		return &repeatable{encrypt.ErrUnavailable, err}
	}
	return nil
}

// cleared is the body of a request, which has a secret. It is cleared when it is closed,
// which the transport may do after the answer, and may still read it until then.
type cleared struct {
	mu   sync.Mutex
	rest *bytes.Reader
	all  []byte
}

// Read implements io.Reader.
func (c *cleared) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return c.rest.Read(p)
}

// Close implements io.Closer.
func (c *cleared) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.all)
	c.all = nil
	return nil
}
