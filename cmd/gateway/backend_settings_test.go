package main

import (
	"strings"
	"testing"
)

func TestBackendSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Backends) != 1 || *c.Backends[0] != (BackendSettings{Name: "local", Type: "fs", Path: "sanctum-data/blobs"}) || c.PlacementDefault != "local" {
		t.Errorf("without configuration: %+v, default %q", c.Backends[0], c.PlacementDefault)
	}

	const file = `
placement: {default: eu-west}
backends:
  local: {type: fs}
  eu-west:
    type: s3
    endpoint: https://s3.example.com
    bucket: from-file
    jurisdiction: EU
`
	env := []string{"SANCTUM_BACKENDS_EU_WEST_BUCKET=from-environment", "SANCTUM_BACKENDS_EU_WEST_ACCESS_KEY=canary-access",
		"SANCTUM_BACKENDS_EU_WEST_SECRET_KEY=canary-secret", "SANCTUM_BACKENDS_ARCHIVE_TYPE=gcs", "SANCTUM_BACKENDS_ARCHIVE_BUCKET=cold",
		"SANCTUM_BACKENDS_ARCHIVE_CREDENTIALS_FILE=account.json", "SANCTUM_BACKENDS_UNUSED_TYPE="}
	if c, err = load(t, file, env); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range c.Backends {
		names = append(names, b.Name+"="+b.Type)
	}
	if got := strings.Join(names, " "); got != "archive=gcs eu-west=s3 local=fs" {
		t.Errorf("backends %s", got)
	}
	eu := c.Backends[1]
	if eu.Bucket != "from-environment" || eu.Endpoint != "https://s3.example.com" || eu.Credentials != "auto" ||
		eu.Concurrency != 0 || eu.SecretKey != "canary-secret" {
		t.Errorf("eu-west is %+v", eu)
	}
	if c.origins["backends.eu-west.jurisdiction"] != "gateway.yaml:9" || c.origins["backends.archive.bucket"] != "environment SANCTUM_BACKENDS_ARCHIVE_BUCKET" {
		t.Errorf("origins: %v", c.origins)
	}
	if c.Backends[0].CredentialsFile != "account.json" {
		t.Errorf("archive is %+v", c.Backends[0])
	}
	for _, s := range c.shown() {
		if strings.Contains(s.Value, "canary") {
			t.Errorf("shown: %+v", s)
		}
	}
}

func TestBackendSettingsErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	const two = "{a: {type: fs, path: a}, b: {type: fs, path: b}}"
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
	}{
		"no mapping":           {file: "backends: [a]\n", want: "gateway.yaml:1: want names of backends"},
		"bad name":             {file: "backends: {Eu: {type: fs}}\n", want: `gateway.yaml:1: backend name "Eu": want lower-case`},
		"twice":                {file: "backends:\n  a: {type: fs, path: x}\n  a: {type: fs, path: y}\n", want: "gateway.yaml:3: backend a is given twice"},
		"unknown setting":      {file: "backends:\n  a:\n    kind: s3\n", want: "gateway.yaml:3: unknown key backends.a.kind"},
		"unknown type":         {file: "backends: {a: {type: ftp}}\n", want: `gateway.yaml:1: backends.a.type: "ftp" is none of fs, s3, gcs`},
		"no type":              {file: "backends: {a: {path: x}}\n", want: "backends.a.type is missing"},
		"no path":              {file: "backends: {a: {type: fs}}\n", want: "backends.a.path must name a folder"},
		"no bucket":            {file: "backends: {a: {type: s3}}\n", want: "backends.a.bucket must name"},
		"path for s3":          {file: "backends: {a: {type: s3, bucket: b, path: x}}\n", want: "backends.a.path belongs to type fs"},
		"bucket for fs":        {file: "backends: {a: {type: fs, path: x, bucket: b}}\n", want: "backends.a.bucket does not belong to type fs"},
		"key for gcs":          {file: "backends: {a: {type: gcs, bucket: b, access_key: k}}\n", want: "backends.a.access_key does not belong to type gcs"},
		"half a credential":    {file: "backends: {a: {type: s3, bucket: b, access_key: k}}\n", want: "backends.a.access_key and secret_key belong together"},
		"static of nothing":    {file: "backends: {a: {type: s3, bucket: b, credentials: static}}\n", want: `backends.a.credentials "static" needs`},
		"imds for gcs":         {file: "backends: {a: {type: gcs, bucket: b, credentials: imds}}\n", want: `backends.a.credentials "imds" is for type s3`},
		"default missing":      {file: "backends: " + two + "\n", want: "placement.default must name one of the backends: a, b"},
		"default unknown":      {file: "backends: " + two + "\nplacement: {default: c}\n", want: `placement.default: no backend is named "c"; the backends are a, b`},
		"unknown in variable":  {env: []string{"SANCTUM_BACKENDS_A_KIND=s3"}, want: "environment SANCTUM_BACKENDS_A_KIND: no setting has this name"},
		"bad name in variable": {env: []string{"SANCTUM_BACKENDS__TYPE=s3"}, want: "environment SANCTUM_BACKENDS__TYPE: no setting has this name"},
		"secret file is absent": {env: []string{"SANCTUM_BACKENDS_A_SECRET_KEY_FILE=absent"},
			want: "environment SANCTUM_BACKENDS_A_SECRET_KEY_FILE: backends.a.secret_key_file: open absent"},
		"store of another kind": {env: []string{"SANCTUM_STORE_URL=mysql://canary@host/db"}, want: "store.url: want a URL such as postgres://"},
		"exec mode":             {file: "store: {exec_mode: fast}\n", want: `gateway.yaml:1: store.exec_mode: "fast" is none of`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.file, c.env)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// By default each request with a seat also gets a place at a backend. So slow
// readers of one tenant, who never have all seats, cannot keep others from a
// backend.
func TestBackendConcurrency(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "backends: {a: {type: s3, bucket: b}, c: {type: s3, bucket: b, concurrency: 7}}\nplacement: {default: a}\n"
	for _, env := range [][]string{nil, {"SANCTUM_LIMITS_REQUESTS=4000"}} {
		c, err := load(t, file, env)
		if err != nil {
			t.Fatal(err)
		}
		if n := c.Backends[0].concurrency(c.LimitsRequests); c.LimitsRequests < 1000 || n < 2*c.LimitsRequests {
			t.Errorf("%d requests to a backend for %d of clients", n, c.LimitsRequests)
		}
		if n := c.Backends[1].concurrency(c.LimitsRequests); n != 7 {
			t.Errorf("%d instead of those that were set", n)
		}
	}
}
