package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// load parses flags, environment and the text of a file in the way of serve.
// The file is gateway.yaml in a new folder, which becomes the current one.
func load(t testing.TB, file string, env []string, args ...string) (*configuration, error) {
	t.Helper()
	if file != "" {
		if err := os.WriteFile("gateway.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", "gateway.yaml")
	}
	var c *configuration
	cmd := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c, err = loadConfig(cmd, env); err == nil {
				err = c.checkListeners()
			}
			return err
		}}
	addSettingFlags(cmd, forServe)
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return c, cmd.Execute()
}

func TestPrecedence(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "s3: {region: file, address: '127.0.0.1:1'}\nbuckets: [a, b]\n"
	env := []string{"SANCTUM_S3_REGION=environment", "SANCTUM_BUCKETS=", "PATH=/bin",
		"SANCTUM_SERVICE_HOST=10.0.0.1", "SANCTUM_PORT_9000_TCP_ADDR=10.0.0.1", "SANCTUM_GATEWAY_SERVICE_PORT=9000"}
	c, err := load(t, file, env, "--region=flag")
	if err != nil {
		t.Fatal(err)
	}
	if c.region() != "flag" || c.origins["s3.region"] != "flag --region" {
		t.Errorf("region %q from %s", c.region(), c.origins["s3.region"])
	}
	if c.S3Address != "127.0.0.1:1" || c.origins["s3.address"] != "gateway.yaml:1" {
		t.Errorf("address %q from %s", c.S3Address, c.origins["s3.address"])
	}
	if len(c.Buckets) != 2 || c.origins["buckets"] != "gateway.yaml:2" {
		t.Errorf("buckets %q from %s: an empty variable counts as absent", c.Buckets, c.origins["buckets"])
	}
	if c.CollectorInterval != time.Minute || c.KeyringPath != "sanctum-data/keyring" {
		t.Errorf("defaults: interval %s, keyring %s", c.CollectorInterval, c.KeyringPath)
	}
	if c, err = load(t, file, env); err != nil || c.region() != "environment" {
		t.Errorf("region %q, error %v", c.region(), err)
	}
	if c, err = load(t, "# nothing\n", nil, "--buckets="); err != nil || len(c.Buckets) != 0 {
		t.Errorf("an empty file: %v, error %v", c.Buckets, err)
	}
}

func TestConfigurationErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, mode := range map[string]os.FileMode{"private": 0o600, "group": 0o640, "world": 0o604} {
		if err := os.WriteFile(name, []byte("a-long-secret\r\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("empty", []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		env  []string
		args []string
		want string // the beginning of the error
	}{
		"unknown key":        {file: "s3:\n  adress: 1\n", want: "gateway.yaml:2: unknown key s3.adress"},
		"unknown section":    {file: "tenant: {a: 1}\n", want: "gateway.yaml:1: unknown key tenant"},
		"dotted key":         {file: "s3.region: x\n", want: "gateway.yaml:1: unknown key s3.region"},
		"key twice":          {file: "s3:\n  region: a\n  region: b\n", want: "gateway.yaml:3: key s3.region is given twice"},
		"section twice":      {file: "s3: {region: a}\ns3: {region: b}\n", want: "gateway.yaml:2: key s3 is given twice"},
		"value and file":     {file: "access_key: a\nsecret_key: b\nsecret_key_file: c\n", want: "gateway.yaml:3: secret_key is already given by gateway.yaml:2"},
		"no value":           {file: "s3:\n  region:\n", want: "gateway.yaml:2: s3.region has no plain value"},
		"mapping for value":  {file: "s3: {region: {a: 1}}\n", want: "gateway.yaml:1: s3.region has no plain value"},
		"list for value":     {file: "log: {level: [a]}\n", want: "gateway.yaml:1: log.level has no plain value"},
		"alias":              {file: "data: &a x\ns3: {region: *a}\n", want: "gateway.yaml:2: s3.region has no plain value"},
		"nested list":        {file: "buckets: [[a]]\n", want: "gateway.yaml:1: buckets: want a list of words"},
		"comma in list":      {file: "buckets: ['a,b']\n", want: "gateway.yaml:1: buckets: want a list of words"},
		"not a mapping":      {file: "- a\n", want: "gateway.yaml:1: want keys with values"},
		"scalar for section": {file: "s3: x\n", want: "gateway.yaml:1: want keys with values"},
		"two documents":      {file: "data: a\n---\ndata: b\n", want: "configuration file gateway.yaml: holds more than one document"},
		"no YAML":            {file: "\tdata", want: "configuration file gateway.yaml: "},
		"bad duration":       {file: "collector: {interval: 5}\n", want: `gateway.yaml:1: collector.interval: "5" is not a duration`},
		"short duration":     {file: "collector: {interval: 1ms}\n", want: "gateway.yaml:1: collector.interval: 1ms is not within"},
		"bad bool":           {file: "admin: {tls: yes}\n", want: `gateway.yaml:1: admin.tls: "yes" is neither true nor false`},
		"bad count":          {file: "limits: {connections: 1}\n", want: "gateway.yaml:1: limits.connections: 1 is not within"},
		"bad address":        {args: []string{"--s3=9000"}, want: `flag --s3: s3.address: "9000" is not host:port`},
		"bad port":           {args: []string{"--s3=127.0.0.1:http"}, want: `flag --s3: s3.address: "127.0.0.1:http": port "http" is not a number`},
		"port too large":     {args: []string{"--s3=127.0.0.1:65536"}, want: `flag --s3: s3.address: "127.0.0.1:65536": port`},
		"bad level":          {env: []string{"SANCTUM_LOG_LEVEL=loud"}, want: `environment SANCTUM_LOG_LEVEL: log.level: "loud" is none of`},
		"bad format":         {env: []string{"SANCTUM_LOG_FORMAT=xml"}, want: `environment SANCTUM_LOG_FORMAT: log.format: "xml" is none of`},
		"unknown variable":   {env: []string{"SANCTUM_DATABASE=x"}, want: "environment SANCTUM_DATABASE: no setting has this name"},
		"file of no secret":  {env: []string{"SANCTUM_DATA_FILE=x"}, want: "environment SANCTUM_DATA_FILE: no setting has this name"},
		"variable and file": {env: []string{"SANCTUM_SECRET_KEY=a", "SANCTUM_SECRET_KEY_FILE=private"},
			want: "environment SANCTUM_SECRET_KEY_FILE: secret_key is already given by environment SANCTUM_SECRET_KEY"},
		"readable by group":   {env: []string{"SANCTUM_SECRET_KEY_FILE=group"}, want: "environment SANCTUM_SECRET_KEY_FILE: secret_key_file: group has mode 0640"},
		"readable by all":     {env: []string{"SANCTUM_SECRET_KEY_FILE=world"}, want: "environment SANCTUM_SECRET_KEY_FILE: secret_key_file: world has mode 0604"},
		"empty secret":        {env: []string{"SANCTUM_SECRET_KEY_FILE=empty"}, want: "environment SANCTUM_SECRET_KEY_FILE: secret_key_file: empty is empty"},
		"absent secret":       {env: []string{"SANCTUM_SECRET_KEY_FILE=absent"}, want: "environment SANCTUM_SECRET_KEY_FILE: secret_key_file: open absent"},
		"secret in a folder":  {env: []string{"SANCTUM_SECRET_KEY_FILE=."}, want: "environment SANCTUM_SECRET_KEY_FILE: secret_key_file: . is not a plain file"},
		"half a credential":   {env: []string{"SANCTUM_SECRET_KEY_FILE=private"}, want: "access_key and secret_key belong together"},
		"absent file":         {args: []string{"--config=absent.yaml"}, want: "configuration file: open absent.yaml"},
		"empty flag":          {args: []string{"--data="}, want: "flag --data: data must not be empty"},
		"certificate alone":   {args: []string{"--tls-cert-file=a"}, want: "tls.cert_file and tls.key_file belong together"},
		"two certificates":    {args: []string{"--tls-cert-file=a", "--tls-key-file=b", "--tls-acme-domains=c"}, want: "tls.cert_file and tls.acme_domains exclude"},
		"admin without TLS":   {args: []string{"--admin-tls"}, want: "admin.tls needs"},
		"email without ACME":  {args: []string{"--tls-acme-email=a@b"}, want: "tls.acme_email needs"},
		"directory no URL":    {args: []string{"--tls-acme-directory=a"}, want: "tls.acme_directory: want a URL"},
		"region with a space": {args: []string{"--region=a b"}, want: "s3.region must be words"},
		"same address":        {args: []string{"--s3=127.0.0.1:9001"}, want: "s3.address and admin.address are both 127.0.0.1:9001"},
		"public S3":           {args: []string{"--s3=:9000"}, want: "s3.address :9000 can be reached from other machines without TLS"},
		"public admin":        {args: []string{"--admin=[::]:9001", "--tls-acme-domains=c"}, want: "admin.address [::]:9001 can be reached"},
		"public by name":      {args: []string{"--s3=host.example:9000"}, want: "s3.address host.example:9000 can be reached"},
		"others are allowed":  {args: []string{"--s3=0.0.0.0:9000", "--allow-insecure-public=admin,metrics"}, want: "s3.address 0.0.0.0:9000 can be reached"},
		"shared domain":       {args: []string{"--s3-domains=a.test", "--s3-website-domains=A.test"}, want: "s3.domains and s3.website_domains both have A.test"},
		"allow what":          {args: []string{"--allow-insecure-public=yes"}, want: `flag --allow-insecure-public: allow_insecure_public: "yes" is none of`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.file, c.env, c.args...)
			switch {
			case err == nil:
				t.Fatal("no error")
			case !strings.HasPrefix(err.Error(), c.want):
				t.Errorf("%v\nwant %s", err, c.want)
			case strings.Contains(err.Error(), "a-long-secret"):
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestPublicAddressesThatAreAllowed(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"--s3=localhost:9000", "--admin=[::1]:9001", "--metrics=127.1.2.3:9002"},
		{"--s3=0.0.0.0:443", "--tls-acme-domains=s3.example.com"},
		{"--s3=0.0.0.0:9000", "--metrics=:9002", "--allow-insecure-public=s3,metrics"},
		{"--s3=0.0.0.0:9000", "--admin=:9001", "--metrics=:9002", "--allow-insecure-public"},
		{"--s3=127.0.0.1:0", "--admin=127.0.0.1:0", "--metrics=127.0.0.1:0"},
	} {
		if _, err := load(t, "", nil, args...); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestSystemdCredentials reads a secret in the way that systemd provides it:
// the file seems readable by its group, because its access list shows so.
func TestSystemdCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("a-long-secret\n"), 0o440); err != nil {
		t.Fatal(err)
	}
	if got, err := readSecretFile(path); got != "a-long-secret" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := readSecretFile(path); err == nil {
		t.Error("a secret that all can read was accepted")
	}
}

func TestShownHidesSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := load(t, "access_key: canary-access\nsecret_key: canary-secret\nkeyring: {passphrase: canary-phrase}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.SecretKey != "canary-secret" || c.KeyringPassphrase != "canary-phrase" {
		t.Fatalf("secrets were not read")
	}
	shown := c.shown()
	if len(shown) != len(c.rows) {
		t.Errorf("%d settings shown of %d", len(shown), len(c.rows))
	}
	for _, s := range shown {
		if strings.Contains(s.Value, "canary") || s.Source == "" {
			t.Errorf("shown: %+v", s)
		}
	}
}

// TestTableIsSound: names are unique, defaults parse, and no secret has a flag.
func TestTableIsSound(t *testing.T) {
	var s Settings
	names := map[string]string{}
	for _, row := range s.table() {
		for _, name := range []string{"key " + row.key, "env " + row.env(), "flag " + row.flag} {
			if other, taken := names[name]; taken && name != "flag " {
				t.Errorf("%s is both %s and %s", name, row.key, other)
			}
			names[name] = row.key
		}
		if err := row.value.set(row.def); row.def != "" && err != nil {
			t.Errorf("default of %s: %v", row.key, err)
		}
		if row.secret && row.flag != "" {
			t.Errorf("%s is a secret and a flag", row.key)
		}
		if row.doc == "" || strings.HasSuffix(row.doc, ".") {
			t.Errorf("%s is not well described", row.key)
		}
		if kubernetesService.MatchString(row.env()) {
			t.Errorf("%s looks like a variable of Kubernetes", row.env())
		}
	}
}

func FuzzConfigurationFile(f *testing.F) {
	for _, seed := range []string{
		"", "s3: {region: a}\n", "buckets: [a, b]\n", "data: &a x\nlog: {level: *a}\n", "<<: {a: 1}\n",
		"? [a]\n: b\n", "s3:\n", "--- \n--- \n", "!!null x: y\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		t.Chdir(t.TempDir())
		if text == "" {
			return
		}
		c, err := load(t, text, nil)
		if err != nil {
			if !strings.Contains(err.Error(), ":") {
				t.Errorf("the error names no place: %v", err)
			}
			return
		}
		// An accepted value has its place as source, and is read back the same.
		for _, s := range c.shown() {
			if s.Source != "default" && !strings.HasPrefix(s.Source, "gateway.yaml:") {
				t.Errorf("%s comes from %q", s.Key, s.Source)
			}
		}
	})
}
