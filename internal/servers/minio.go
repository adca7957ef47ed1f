//go:build linux

package servers

import (
	"context"
	"os"
	"path/filepath"
)

// MinIO is built from its last public sources, which takes minutes. It is under
// the AGPL: a program to test against, never a part of ours.
var MinIO = GoProgram{Package: "github.com/minio/minio", Version: "v0.0.0-20260212201848-7aac2a2c5b7c"}

// StartMinIO serves the folder dir, which must exist, over TLS where cert is not
// nil, and waits until it answers. log takes its output; beside it a folder is
// made for MinIO's settings. The caller stops it.
func StartMinIO(ctx context.Context, dir, log string, cert *Certificate) (*S3Server, error) {
	program, err := MinIO.Path(ctx)
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	s := newS3Server(addr[0], cert)
	certs := log + ".certs"
	if err := minioCertificate(certs, cert); err != nil {
		return nil, err
	}
	s.Process, err = Start(Spec{
		Name:    MinIO.Name(),
		Program: program,
		Args:    []string{"server", "--quiet", "--address", addr[0], "--certs-dir", certs, dir},
		Env: []string{"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=on"}, // the last: a folder of the root disk will do
		Log: log,
	})
	if err != nil {
		return nil, err
	}
	return s.whenReady(ctx)
}

// minioCertificate puts a certificate where MinIO looks for it.
func minioCertificate(dir string, cert *Certificate) error {
	if err := os.MkdirAll(dir, 0o700); err != nil || cert == nil {
		return err
	}
	for name, from := range map[string]string{"public.crt": cert.CertFile, "private.key": cert.KeyFile} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
