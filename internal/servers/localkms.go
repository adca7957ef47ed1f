//go:build linux

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
)

// LocalKMS is the program of StartKMS.
var LocalKMS = GoProgram{Package: "github.com/nsmithuk/local-kms", Version: "v0.0.0-20260228092603-2a5e92d09ab6"}

// KMS is a running local-kms: the API of AWS KMS over plain HTTP, without keys at first.
//
// Unlike AWS's, it listens on every interface, accepts any signature, has no policies and
// never throttles, and ReEncrypt does not look at SourceKeyId. Encryption contexts, states of
// keys, aliases and error codes work as they do there.
type KMS struct {
	*Process
	URL    string // the endpoint, without a slash at its end
	Region string
}

// kmsStarts bounds the attempts to start LocalKMS. It wants its port on every interface, and
// ends where another program has it on one.
const kmsStarts = 3

// StartKMS starts LocalKMS with its data and log in dir, and returns when it answers. The
// caller stops it.
func StartKMS(ctx context.Context, dir string) (*KMS, error) {
	program, err := LocalKMS.Path(ctx)
	if err != nil {
		return nil, err
	}
	var k *KMS
	for range kmsStarts {
		if k, err = startKMS(ctx, program, dir); err == nil || ctx.Err() != nil {
			break
		}
	}
	return k, err
}

func startKMS(ctx context.Context, program, dir string) (*KMS, error) {
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	k := &KMS{URL: "http://" + addresses[0], Region: s3Region}
	k.Process, err = Start(Spec{
		Name:    LocalKMS.Name(),
		Program: program,
		Env: []string{"PORT=" + port, "KMS_REGION=" + k.Region, "KMS_ACCOUNT_ID=111122223333",
			"KMS_DATA_PATH=" + filepath.Join(dir, "kms"), "KMS_SEED_PATH=" + filepath.Join(dir, "no-seed")},
		Dir: dir,
		Log: filepath.Join(dir, "local-kms.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := k.Ready(ctx, Answers(addresses[0])); err != nil {
		k.Kill()
		return nil, err
	}
	return k, nil
}

// Ask makes a request, such as CreateKey with {}, and returns its answer.
func (k *KMS) Ask(ctx context.Context, operation string, input map[string]any) (map[string]any, error) {
	body, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService."+operation)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, logTail))
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", operation, resp.Status, text)
	}
	if len(text) > 0 {
		err = json.Unmarshal(text, &answer)
	}
	return answer, err
}

// CreateKey makes a symmetric encryption key, and returns its ARN.
func (k *KMS) CreateKey(ctx context.Context) (arn string, err error) {
	answer, err := k.Ask(ctx, "CreateKey", map[string]any{})
	if err != nil {
		return "", err
	}
	metadata, _ := answer["KeyMetadata"].(map[string]any)
	arn, ok := metadata["Arn"].(string)
	if !ok {
		return "", fmt.Errorf("CreateKey answers %v", answer)
	}
	return arn, nil
}
