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

// GCS is a running fake-gcs-server: Google Cloud Storage's JSON API over plain
// http on loopback, its objects in memory.
//
// Unlike Google's, it asks for no token, never throttles, knows neither fields
// nor storage classes' rules, and searches a bucket from its beginning for each
// object. It reads the body of an uploadType=media under the lock of all
// buckets, so that a slow one stops every other call; uploadType=multipart is
// free of that. Preconditions, generations, startOffset and declared checksums
// work as they do there.
type GCS struct {
	*Process
	URL string // the endpoint, without a slash at its end
}

// StartGCS starts FakeGCS, with its log in dir, and returns when it answers. The
// caller stops it.
func StartGCS(ctx context.Context, dir string) (*GCS, error) {
	program, err := FakeGCS.Path(ctx)
	if err != nil {
		return nil, err
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	p, err := Start(Spec{
		Name:    FakeGCS.Name(),
		Program: program,
		Args: []string{"-backend", "memory", "-scheme", "http", "-host", host, "-port", port,
			"-public-host", addresses[0], "-log-level", "warn", "-data", filepath.Join(dir, "no-seed")},
		Dir: dir,
		Log: filepath.Join(dir, "fake-gcs-server.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, Answers(addresses[0])); err != nil {
		p.Kill()
		return nil, err
	}
	return &GCS{Process: p, URL: "http://" + addresses[0]}, nil
}

// CreateBucket makes an empty bucket.
func (g *GCS) CreateBucket(ctx context.Context, name string) error {
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/storage/v1/b?project=test", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, logTail))
		return fmt.Errorf("create bucket %s: %s: %s", name, resp.Status, text)
	}
	return nil
}
