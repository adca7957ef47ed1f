package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/transfer"
)

// Every path that an operator can give is tried with a pipe without a writer, a
// folder and a device. The command must refuse it and not wait. Every setting
// and flag with a path is in the table.
func TestOddPaths(t *testing.T) {
	mask := syscall.Umask(0) // serve sets it
	syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(mask) })
	backend := map[string]string{
		"SANCTUM_BACKENDS_MAIN_TYPE": "s3", "SANCTUM_BACKENDS_MAIN_BUCKET": "sealed",
		"SANCTUM_BACKENDS_MAIN_ENDPOINT": "https://127.0.0.1:1",
	}
	with := func(more ...string) map[string]string {
		all := map[string]string{}
		for name, value := range backend {
			all[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	const provider = "import --from http://127.0.0.1:1 --from-bucket b --bucket b"
	key := map[string]string{
		"SANCTUM_ACCESS_KEY": "an-access-key", "SANCTUM_SECRET_KEY": "a-secret-key",
		"SANCTUM_IMPORT_ACCESS_KEY": "a", "SANCTUM_IMPORT_SECRET_KEY": "b",
	}
	google := func(variable string) map[string]string {
		return map[string]string{
			"SANCTUM_BACKENDS_MAIN_TYPE": "gcs", "SANCTUM_BACKENDS_MAIN_BUCKET": "sealed", variable: "ODD",
		}
	}
	cases := []struct {
		names string // the settings and flags that the case covers
		args  string // ODD is the path
		env   map[string]string
	}{
		{"config", "config check --config ODD", nil},
		{"", "config check", map[string]string{"SANCTUM_CONFIG": "ODD"}},
		{"access_key", "config check", map[string]string{"SANCTUM_ACCESS_KEY_FILE": "ODD"}},
		{"secret_key", "config check", map[string]string{"SANCTUM_SECRET_KEY_FILE": "ODD"}},
		{"store.url", "config check", map[string]string{"SANCTUM_STORE_URL_FILE": "ODD"}},
		{"", "config check", map[string]string{"SANCTUM_STORE_URL": "postgres://h/d?sslrootcert=ODD"}},
		{"", "config check", map[string]string{"SANCTUM_STORE_URL": "postgres://h/d?sslkey=ODD"}},
		{"", "config check", map[string]string{"SANCTUM_STORE_URL": "postgres://h/d?sslcert=ODD"}},
		{"", "config check", map[string]string{"SANCTUM_STORE_URL": "postgres://h/d?passfile=ODD"}},
		{"keyring.passphrase", "config check", map[string]string{"SANCTUM_KEYRING_PASSPHRASE_FILE": "ODD"}},
		{"tls.cert_file", "config check --tls-cert-file ODD --tls-key-file secret", nil},
		{"tls.key_file", "config check --tls-cert-file secret --tls-key-file ODD", nil},
		{"keyring.path", "fsck --data whole --keyring-path ODD", nil},
		{"", "fsck --data odd-store", nil},
		{"", "serve --data odd-store", nil},
		{"data", "fsck --data ODD", nil},
		{"", "serve --data ODD", nil},
		{"backends.main.path", "serve --data new", map[string]string{"SANCTUM_BACKENDS_MAIN_TYPE": "fs", "SANCTUM_BACKENDS_MAIN_PATH": "ODD"}},
		{"backends.main.access_key", "config check", with("SANCTUM_BACKENDS_MAIN_ACCESS_KEY_FILE", "ODD")},
		{"backends.main.secret_key", "config check", with("SANCTUM_BACKENDS_MAIN_SECRET_KEY_FILE", "ODD")},
		{"backends.main.session_token", "config check", with("SANCTUM_BACKENDS_MAIN_SESSION_TOKEN_FILE", "ODD")},
		{"backends.main.ca_file", "serve --data new", with("SANCTUM_BACKENDS_MAIN_CA_FILE", "ODD")},
		{"backends.main.credentials_file", "serve --data new", with("SANCTUM_BACKENDS_MAIN_CREDENTIALS", "file", "SANCTUM_BACKENDS_MAIN_CREDENTIALS_FILE", "ODD")},
		{"", "serve --data new", with("SANCTUM_BACKENDS_MAIN_CREDENTIALS", "file", "AWS_SHARED_CREDENTIALS_FILE", "ODD")},
		{"", "serve --data new", with("SANCTUM_BACKENDS_MAIN_CREDENTIALS", "web_identity",
			"AWS_WEB_IDENTITY_TOKEN_FILE", "ODD", "AWS_ROLE_ARN", "arn:aws:iam::1:role/r")},
		{"", "serve --data new", google("SANCTUM_BACKENDS_MAIN_CREDENTIALS_FILE")},
		{"", "serve --data new", google("GOOGLE_APPLICATION_CREDENTIALS")},
		{"", "serve --data new", google("SANCTUM_BACKENDS_MAIN_CA_FILE")},
		{"secret-key-file", "accesskey add alice --access-key abc --secret-key-file ODD", key},
		{"policy", "user create carol --tenant alice --policy ODD", key},
		{"to-file", "db copy --to-file ODD --data whole", nil},
		{"from-ca-file", provider + " --from-ca-file ODD", key},
		{"gateway-ca-file", provider + " --gateway-ca-file ODD", key},
		{"to-ca-file", "export --bucket b --to http://127.0.0.1:1 --to-bucket b --plaintext --to-ca-file ODD", key},
		{"", provider, map[string]string{"SANCTUM_ACCESS_KEY": "an-access-key", "SANCTUM_SECRET_KEY": "a-secret-key", "SANCTUM_IMPORT_SECRET_KEY_FILE": "ODD"}},
		{"", provider, map[string]string{"SANCTUM_ACCESS_KEY": "an-access-key", "SANCTUM_SECRET_KEY": "a-secret-key", "AWS_SHARED_CREDENTIALS_FILE": "ODD"}},
	}
	covered := map[string]bool{"journal": true, "report": true} // see package transfer, and TestReportFile
	ran := 0
	for _, c := range cases {
		for _, odd := range []string{"pipe", "folder", "/dev/zero", "link-to-pipe"} {
			if odd == "folder" && (strings.Contains(c.args, "--data ODD") || strings.HasSuffix(c.names, ".path") && c.names != "keyring.path") {
				continue // the path is to be a folder here
			}
			ran++
			t.Run(c.args+" "+c.names+" "+odd, func(t *testing.T) {
				t.Chdir(t.TempDir())
				layOut(t, odd)
				for name, value := range c.env {
					t.Setenv(name, strings.ReplaceAll(value, "ODD", odd))
				}
				t.Setenv("SANCTUM_S3_ADDRESS", "127.0.0.1:0")
				t.Setenv("SANCTUM_ADMIN_ADDRESS", "127.0.0.1:0")
				t.Setenv("SANCTUM_METRICS_ADDRESS", "127.0.0.1:0")
				var out, errs bytes.Buffer
				status := run(strings.Fields(strings.ReplaceAll(c.args, "ODD", odd)), &out, &errs)
				if status == 0 || !strings.Contains(errs.String(), "is not a") {
					t.Errorf("status %d, %s%s", status, &out, &errs)
				}
			})
		}
		covered[c.names] = true
	}
	if ran < 140 {
		t.Errorf("only %d cases ran", ran)
	}
	for _, name := range pathNames(t) {
		if !covered[name] {
			t.Errorf("%s names a path, and no case tries it", name)
		}
	}
}

// layOut creates the files of the cases.
func layOut(t *testing.T, odd string) {
	t.Helper()
	for _, err := range []error{
		syscall.Mkfifo("pipe", 0o600), os.Mkdir("folder", 0o700), os.Symlink("pipe", "link-to-pipe"),
		os.WriteFile("secret", []byte("a-long-secret"), 0o600),
		os.Mkdir("whole", 0o700), os.WriteFile("whole/meta.db", nil, 0o600), os.WriteFile("whole/keyring", nil, 0o600),
		os.Mkdir("odd-store", 0o700), os.WriteFile("odd-store/keyring", nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	target := odd
	if !strings.HasPrefix(odd, "/") {
		target = "../" + odd
	}
	if err := os.Symlink(target, "odd-store/meta.db"); err != nil {
		t.Fatal(err)
	}
}

// pathNames are the settings and flags with a path, recognised by their names
// and help texts.
func pathNames(t *testing.T) (names []string) {
	t.Helper()
	c := configuration{origins: map[string]string{}}
	c.rows = c.table()
	if _, err := c.namedRows(backendsSection, "main"); err != nil {
		t.Fatal(err)
	}
	for _, row := range c.rows {
		if row.secret || row.key == "data" || strings.HasSuffix(row.key, "_file") || strings.HasSuffix(row.key, "path") {
			names = append(names, row.key)
		}
	}
	return append(names, "config", "journal", "report", "policy", "secret-key-file", "to-file", "from-ca-file", "to-ca-file", "gateway-ca-file")
}

// A report replaces the named file and nothing else: no link is followed, and
// no pipe is waited for.
func TestReportFile(t *testing.T) {
	t.Chdir(t.TempDir())
	layOut(t, "pipe")
	if err := os.Symlink("secret", "link"); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{
		"new": true, "new-and-again": true, "pipe": false, "folder": false, "link": false, "link-to-pipe": false, "/dev/full": false,
	} {
		var out bytes.Buffer
		flags := transferFlags{report: path, output: "json"}
		for range 2 {
			if err := flags.write(&out, &transfer.Report{Failed: 7}, nil); (err == nil) != ok {
				t.Errorf("%s: %v", path, err)
			}
		}
		if !ok {
			continue
		}
		if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), `"failed": 7`) != 1 {
			t.Errorf("%s: %s, %v", path, text, err)
		}
	}
	if text, err := os.ReadFile("secret"); string(text) != "a-long-secret" || err != nil {
		t.Errorf("a link was followed: %q, %v", text, err)
	}
}

// A secret in a configuration file that others can read is refused, like one in
// a file of its own.
func TestSecretsInTheConfigurationFile(t *testing.T) {
	t.Chdir(t.TempDir())
	const backend = "backends: {main: {type: s3, bucket: sealed, access_key: a, "
	for text, refused := range map[string]string{
		"secret_key: 0123456789\naccess_key: abcdef\n":            "secret_key",
		"keyring: {passphrase: open sesame}\n":                    "keyring.passphrase",
		"store: {url: 'postgres://u:p@h/d'}\n":                    "store.url",
		"store: {url: 'postgres://h/d?password=p'}\n":             "store.url",
		"store: {url: 'postgres://h/d?sslpassword=p'}\n":          "store.url",
		"store: {url: 'postgres://%zz'}\n":                        "store.url",
		"store: {url: 'postgres://u@h/d'}\n":                      "",
		backend + "secret_key: b}}\n":                             "backends.main.secret_key",
		backend + "secret_key_file: secret, session_token: x}}\n": "backends.main.session_token",
		backend + "secret_key_file: secret}}\n":                   "",
		"s3: {region: r}\n":                                       "",
		"access_key: abcdef\nsecret_key_file: secret\n":           "",
		"secret_key: ''\n":                                        "",
	} {
		for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o644: true, 0o622: true} {
			if err := os.WriteFile("secret", []byte("0123456789"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("gateway.yaml", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod("gateway.yaml", mode); err != nil {
				t.Fatal(err)
			}
			_, err := load(t, "", nil, "--config", "gateway.yaml")
			said := err != nil && strings.Contains(err.Error(), refused+" is a secret") && strings.Contains(err.Error(), "chmod 600 gateway.yaml")
			if want := exposed && refused != ""; said != want {
				t.Errorf("%#o, %q: refused %v, want %v: %v", mode, text, said, want, err)
			}
			for _, secret := range []string{"0123456789", "open sesame", "u:p@"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells the secret: %v", err)
				}
			}
		}
	}
}
