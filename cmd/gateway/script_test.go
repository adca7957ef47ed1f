package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// startWait bounds the wait for a server to be ready. It is far more than a
// server needs.
const startWait = 30 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gateway": main})
}

// TestScripts runs testdata/script/*.txtar with the real binary, processes and
// ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts("testdata/script"))
}

// scripts are the parameters for the scripts of a folder, with the commands and
// variables that all of them may use.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"S3", "ADMIN", "METRICS", "OTHER", "S3SECOND", "ADMINSECOND"} {
				addr, err := freeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, addr)
			}
			// The servers of a script are configured by the environment.
			env.Setenv("SANCTUM_S3_ADDRESS", env.Getenv("S3"))
			env.Setenv("SANCTUM_ADMIN_ADDRESS", env.Getenv("ADMIN"))
			env.Setenv("SANCTUM_METRICS_ADDRESS", env.Getenv("METRICS"))
			env.Setenv("SANCTUM_ADMIN_URL", "http://"+env.Getenv("ADMIN"))
			env.Values[uploadKey{}] = &upload{}
			env.Values[kmsKey{}] = &kms{}
			env.Values[transitKept{}] = vaulttest.New()
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":      cmdReady,
			"s3":         cmdS3,
			"sql":        cmdSQL,
			"cert":       cmdCert,
			"servedcert": cmdServedCert,
			"occupy":     cmdOccupy,
			"get":        cmdGet,
			"refused":    cmdRefused,
			"credential": cmdCredential,
			"beginput":   cmdBeginPut,
			"endput":     cmdEndPut,
			"hide":       cmdHide,
			"mode":       cmdMode,
			"snapshot":   cmdSnapshot,
			"page":       cmdPage,
			"gcpkms":     cmdGCPKMS,
			"transit":    cmdTransit,
		},
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// eventually calls f until it returns nil.
func eventually(ts *testscript.TestScript, what string, f func() error) {
	deadline := time.Now().Add(startWait)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ready ADDR: wait until /readyz at the metrics address says 200.
func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	eventually(ts, "ready", func() error {
		resp, err := http.Get("http://" + args[0] + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}

// refused ADDR: wait until the address refuses connections.
func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	eventually(ts, "refused", func() error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return nil
		}
		conn.Close()
		return errors.New("somebody listens")
	})
}

// get URL: the body must arrive with 200 and becomes the script's stdout.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n%s", resp.Status, body)
}

// signed sends a request to the S3 address, with the credential in the
// variables AK and SK.
func signed(ts *testscript.TestScript, method, path string, body io.Reader, size int64) *http.Request {
	req, err := http.NewRequest(method, "http://"+ts.Getenv("S3")+path, body)
	ts.Check(err)
	req.ContentLength = size
	err = sigv4.Sign(req, ts.Getenv("AK"), ts.Getenv("SK"), defaultRegion, "s3", sigv4.Unsigned.String(), time.Now())
	ts.Check(err)
	return req
}

// s3 METHOD PATH STATUS [FILE]: send a signed request, with FILE as its body.
func cmdS3(ts *testscript.TestScript, neg bool, args []string) {
	var body []byte
	if len(args) > 3 {
		body = []byte(ts.ReadFile(args[3]))
	}
	resp, err := http.DefaultClient.Do(signed(ts, args[0], args[1], bytes.NewReader(body), int64(len(body))))
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Stdout().Write(answer)
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("%s %s: %s %s", args[0], args[1], resp.Status, answer)
	}
}

// credential FILE: set AK and SK to the credential that the first start left in
// FILE.
func cmdCredential(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		for _, word := range strings.Fields(line) {
			switch name, value, _ := strings.Cut(word, "="); name {
			case "SANCTUM_ACCESS_KEY":
				ts.Setenv("AK", value)
			case "SANCTUM_SECRET_KEY":
				ts.Setenv("SK", value)
			}
		}
	}
	if ts.Getenv("AK") == "" || ts.Getenv("SK") == "" {
		ts.Fatalf("no credential in %s", args[0])
	}
}

// hide FILE: fail if FILE contains the secret key SK.
func cmdHide(ts *testscript.TestScript, neg bool, args []string) {
	if strings.Contains(ts.ReadFile(args[0]), ts.Getenv("SK")) {
		ts.Fatalf("%s holds the secret key", args[0])
	}
}

// mode OCTAL FILE: fail unless FILE has the mode.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(fi.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// snapshot DIR FILE: write names and digests of the files below DIR into FILE.
// The contents of lock files are left out, because they are process numbers.
func cmdSnapshot(ts *testscript.TestScript, neg bool, args []string) {
	var b strings.Builder
	dir := os.DirFS(ts.MkAbs(args[0]))
	ts.Check(fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(name, "lock") {
			return err
		}
		content, err := fs.ReadFile(dir, name)
		fmt.Fprintf(&b, "%s %s\n", name, sigv4.PayloadHash(content))
		return err
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// sql FILE STATEMENT: change a SQLite file without the gateway.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// occupy ADDR: listen there until the script ends.
func cmdOccupy(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// cert NAME CERT KEY: create a self-signed certificate.
func cmdCert(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(saveCertificate(args[0], ts.MkAbs(args[1]), ts.MkAbs(args[2])))
}

func writeCertificate(t *testing.T, name, certPath, keyPath string) {
	t.Helper()
	if err := saveCertificate(name, certPath, keyPath); err != nil {
		t.Fatal(err)
	}
}

func saveCertificate(name, certPath, keyPath string) error {
	cert, key, err := selfSigned(name)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(certPath, cert, 0o600), os.WriteFile(keyPath, key, 0o600))
}

func selfSigned(name string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// servedcert ADDR NAME: wait until the listener at ADDR uses the certificate of
// NAME.
func cmdServedCert(ts *testscript.TestScript, neg bool, args []string) {
	eventually(ts, "certificate", func() error {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(context.Background(), "tcp", args[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		if got := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName; got != args[1] {
			return fmt.Errorf("the certificate is %q", got)
		}
		return nil
	})
}

// uploadKey is the name under which a script stores the unfinished upload of
// beginput.
type uploadKey struct{}

type upload struct {
	pipe   *io.PipeWriter
	answer chan error
}

// beginput PATH: send the first half of an object, and wait until the server
// works on it.
func cmdBeginPut(ts *testscript.TestScript, neg bool, args []string) {
	u := ts.Value(uploadKey{}).(*upload)
	r, w := io.Pipe()
	u.pipe, u.answer = w, make(chan error, 1)
	req := signed(ts, http.MethodPut, args[0], r, 10)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("answer: %s", resp.Status)
			}
		}
		u.answer <- err
	}()
	_, err := w.Write([]byte("first"))
	ts.Check(err)
	ts.Defer(func() { w.Close() })
	eventually(ts, "the request is under way", func() error {
		resp, err := http.Get("http://" + ts.Getenv("METRICS") + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(text), "\nsanctum_requests_in_flight 1\n") {
			err = errors.New("no request is in flight")
		}
		return err
	})
}

// endput: send the second half. The status must be 200.
func cmdEndPut(ts *testscript.TestScript, neg bool, args []string) {
	u := ts.Value(uploadKey{}).(*upload)
	_, err := u.pipe.Write([]byte("other"))
	ts.Check(err)
	ts.Check(u.pipe.Close())
	ts.Check(<-u.answer)
}
