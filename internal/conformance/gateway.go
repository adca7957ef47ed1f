//go:build linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// The root credential of every gateway under test.
const (
	accessKey = "CONFORMANCEACCESSKEY"
	secretKey = "conformance/secret+key=0123456789abcdefgh"
	// region is not us-east-1, where S3 has exceptions for clients of its first years.
	region = "eu-central-1"
)

// maxTold is how many of its errors a gateway's log contributes to a failure.
const maxTold = 2

// gateway is a real process with default settings but for blocked public access and
// what its kind says, SQLite and a folder, on free loopback ports. It is for one worker.
type gateway struct {
	kind    kind
	url     string // of its S3 endpoint
	admin   string // of its admin API
	owner   string // the canonical id of root, and an access key of the same name
	cert    string // of its S3 endpoint, a PEM file; empty: it serves http
	show    bool   // tests tell the requests they make, where they can
	dir     string // of its data and log; removed at the end
	log     string
	read    int // how much of the log has been looked at, in bytes
	process *servers.Process
	client  *minio.Client
}

// startGateway returns when it serves. The caller ends it.
func startGateway(ctx context.Context, binary, parent string, on kind) (*gateway, error) {
	dir, err := os.MkdirTemp(parent, "gateway-")
	if err != nil {
		return nil, err
	}
	g := &gateway{kind: on, dir: dir, log: filepath.Join(dir, "log")}
	args := []string{"serve", "--data", filepath.Join(dir, "data"),
		"--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}
	transport := &http.Transport{DisableKeepAlives: true}
	if on.version2 {
		args = append(args, "--s3-signature-v2", "all")
	}
	if on.tls {
		c, err := servers.NewCertificate(dir)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		g.cert = c.CertFile
		args = append(args, "--tls-cert-file", c.CertFile, "--tls-key-file", c.KeyFile)
		if transport.TLSClientConfig, err = servers.Trust(c.CertFile); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	g.process, err = servers.Start(servers.Spec{
		Name:    "gateway",
		Program: binary,
		Args:    args,
		// The suites take for granted that a new bucket may be made public.
		Env: []string{"SANCTUM_ACCESS_KEY=" + accessKey, "SANCTUM_SECRET_KEY=" + secretKey, "SANCTUM_S3_BLOCK_PUBLIC_ACCESS=false",
			"SANCTUM_S3_REGION=" + region},
		Log: g.log,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := g.process.Ready(ctx, g.serving); err != nil {
		return nil, errors.Join(err, g.end())
	}
	g.client, err = minio.New(g.host(), &minio.Options{
		Creds:        credentials.NewStaticV4(accessKey, secretKey, ""),
		Region:       region,
		BucketLookup: minio.BucketLookupPath,
		Secure:       on.tls,
		Transport:    transport,
		MaxRetries:   1,
	})
	if err == nil {
		err = g.nameOwner(ctx, binary)
	}
	if err != nil {
		return nil, errors.Join(err, g.end())
	}
	return g, nil
}

// nameOwner gives root a second access key, of the name of its canonical id:
// versitygw's suite takes for granted that the two are one.
func (g *gateway) nameOwner(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, binary, "tenant", "show", "root", "-o", "json")
	cmd.Env = append(os.Environ(), "SANCTUM_ACCESS_KEY="+accessKey, "SANCTUM_SECRET_KEY="+secretKey, "SANCTUM_ADMIN_URL="+g.admin, "SANCTUM_S3_REGION="+region)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("tenant show: %w", err)
	}
	var root struct{ ID string }
	if err := json.Unmarshal(out, &root); err != nil || root.ID == "" {
		return fmt.Errorf("tenant show says %q: %w", out, err)
	}
	add := exec.CommandContext(ctx, binary, "accesskey", "add", "root", "--access-key", root.ID, "--secret-key", secretKey)
	add.Env = cmd.Env
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("accesskey add: %w: %s", err, out)
	}
	g.owner = root.ID
	return nil
}

// serving learns the address from the log, where the gateway has come so far.
func (g *gateway) serving(context.Context) error {
	text, err := os.ReadFile(g.log)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		var entry struct{ Msg, S3, Admin string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			g.url, g.admin = entry.S3, entry.Admin
			return nil
		}
	}
	return errors.New("it has not said that it serves")
}

func (g *gateway) host() string {
	_, host, _ := strings.Cut(g.url, "://")
	return host
}

// env is a credential as SDKs look for it.
func (g *gateway) env(accessKey string) []string {
	env := []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_REGION=" + region}
	if g.show {
		env = append(env, "SHOW=1")
	}
	if g.cert != "" {
		env = append(env, "SSL_CERT_FILE="+g.cert)
	}
	return env
}

// untouched reports whether no test has left a bucket. Suites name their buckets
// alike in every test.
func (g *gateway) untouched(ctx context.Context) bool {
	buckets, err := g.client.ListBuckets(ctx)
	return err == nil && len(buckets) == 0
}

// news is what the log has got since the last call.
func (g *gateway) news() []byte {
	text, err := os.ReadFile(g.log)
	if err != nil {
		return []byte(err.Error())
	}
	fresh := text[min(g.read, len(text)):]
	g.read = len(text)
	return fresh
}

// complaints are the errors in a part of the log: what the gateway knew about a
// failure and kept from the client.
func (g *gateway) complaints(fresh []byte) string {
	var told []string
	for line := range bytes.Lines(fresh) {
		var entry struct{ Level string }
		isJSON := json.Unmarshal(line, &entry) == nil
		if (!isJSON || entry.Level == "ERROR") && len(told) < maxTold {
			told = append(told, string(bytes.TrimSpace(line)))
		}
	}
	select {
	case <-g.process.Done():
		told = append(told, fmt.Sprintf("the gateway ended: %v", g.process.Err()))
	default:
	}
	return strings.Join(told, " ")
}

// end kills the process, whose data nobody needs, and removes its folder.
func (g *gateway) end() error {
	g.process.Kill()
	return os.RemoveAll(g.dir)
}
