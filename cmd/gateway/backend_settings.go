package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Backends are configured by name: backends.NAME.type and so on in the file,
// SANCTUM_BACKENDS_NAME_TYPE in the environment, where - of the name is _. They
// are no flags.

// Kinds of backends.
const (
	typeFS  = "fs"
	typeS3  = "s3"
	typeGCS = "gcs"
)

// localBackend is the name of the backend that there is when none is configured:
// a folder beside the store.
const localBackend = "local"

const (
	backendsSection = "backends"
	// maxBackends is how many may be configured at once.
	maxBackends = 32
	// maxConcurrency bounds backends.NAME.concurrency.
	maxConcurrency = 1 << 16
	// ownConcurrency is for the gateway's own work at a backend.
	ownConcurrency = 256
)

// backendName is short and survives in file names, labels and variables.
var backendName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}[a-z0-9]$|^[a-z]$`)

// BackendSettings are the settings of one named backend.
type BackendSettings struct {
	Name         string
	Type         string
	Region       string
	Jurisdiction string

	Path string // fs

	Endpoint        string
	Bucket          string
	Prefix          string
	CAFile          string
	StorageClass    string
	Credentials     string
	CredentialsFile string
	Concurrency     int
	Timeout         time.Duration
	StallTimeout    time.Duration

	Addressing   string // s3
	Dialect      string
	AccessKey    string
	SecretKey    string
	SessionToken string
	Profile      string
}

// rows are the settings of a backend, as table has the others.
func (b *BackendSettings) rows() []setting {
	word := func(name, doc string, p *string) setting {
		return setting{key: name, value: (*text)(p), doc: doc}
	}
	secret := func(name, doc string, p *string) setting {
		return setting{key: name, value: (*text)(p), doc: doc, secret: true}
	}
	all := []setting{
		{key: "type", value: &choice{&b.Type, []string{typeFS, typeS3, typeGCS}}, doc: "what keeps the sealed blobs: fs, s3 or gcs"},
		word("region", "where the storage is; for s3 also what requests are signed for, found out when empty", &b.Region),
		word("jurisdiction", "whose law the storage is under, such as EU; buckets and users may demand one", &b.Jurisdiction),
		word("path", "fs: the folder; empty for the backend local: blobs in the data folder", &b.Path),
		word("endpoint", "s3, gcs: URL of the service; empty: AWS or Google", &b.Endpoint),
		word("bucket", "s3, gcs: the bucket, which must exist", &b.Bucket),
		word("prefix", "s3, gcs: what the names of all blobs begin with", &b.Prefix),
		word("ca_file", "s3, gcs: certificates in PEM to trust beside the system's", &b.CAFile),
		word("storage_class", "s3, gcs: storage class of new blobs; empty: the bucket's", &b.StorageClass),
		word("credentials_file", "s3: shared credentials file; gcs: service account or other credentials in JSON", &b.CredentialsFile),
		{key: "credentials", def: "auto", value: &choice{&b.Credentials, []string{"auto", "static", "env", "file", "imds", "web_identity", "none"}},
			doc: "s3: where the credential comes from: auto, static, env, file, imds or web_identity; gcs: auto or none"},
		{key: "concurrency", def: "0", value: &count{&b.Concurrency, 0, maxConcurrency}, doc: "s3, gcs: requests under way at once; more wait, and are told to slow down after a while; 0: more than limits.requests can need. Three quarters are for requests, which tenants share"},
		{key: "timeout", def: "5s", value: &span{&b.Timeout, minInterval, maxInterval}, doc: "s3, gcs: time for the first byte of an answer; a call that is tried again ends within twice that, and a body that was sent is answered within that and a second for each 16 MiB"},
		{key: "stall_timeout", def: "15s", value: &span{&b.StallTimeout, minInterval, maxInterval}, doc: "s3, gcs: time that the backend may neither give nor take a byte of a body"},
		{key: "addressing", def: "auto", value: &choice{&b.Addressing, []string{"auto", "path", "virtual"}}, doc: "s3: auto, path or virtual"},
		word("dialect", "s3: what the provider can do, see docs/backends.md; empty: found out", &b.Dialect),
		secret("access_key", "s3: access key", &b.AccessKey),
		secret("secret_key", "s3: secret key", &b.SecretKey),
		secret("session_token", "s3: session token", &b.SessionToken),
		word("profile", "s3: profile in the credentials file", &b.Profile),
	}
	for i := range all {
		all[i].key = backendsSection + "." + b.Name + "." + all[i].key
		all[i].scope = forServe | forFolder
	}
	return all
}

// backendRows makes sure that the backend's settings are among the rows, and
// returns them.
func (c *configuration) backendRows(name string) ([]setting, error) {
	if !backendName.MatchString(name) {
		return nil, fmt.Errorf("backend name %q: want lower-case letters, digits and -, at most 32, beginning with a letter", name)
	}
	prefix := backendsSection + "." + name + "."
	var have []setting
	for _, row := range c.rows {
		if strings.HasPrefix(row.key, prefix) {
			have = append(have, row)
		}
	}
	if have != nil {
		return have, nil
	}
	if len(c.Backends) == maxBackends {
		return nil, fmt.Errorf("more than %d backends", maxBackends)
	}
	b := &BackendSettings{Name: name}
	c.Backends = append(c.Backends, b)
	slices.SortFunc(c.Backends, func(a, b *BackendSettings) int { return strings.Compare(a.Name, b.Name) })
	rows := b.rows()
	c.rows = append(c.rows, rows...)
	return rows, nil
}

// backendInEnv finds the backend that a variable is about: SANCTUM_BACKENDS_, the
// name, and one of the settings. Of the names that could be meant, the one with
// the longest setting is.
func backendInEnv(variable string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(variable, envPrefix+strings.ToUpper(backendsSection)+"_")
	if !ok {
		return "", false
	}
	longest := 0
	probe := BackendSettings{Name: "x"}
	for _, row := range probe.rows() {
		suffix := strings.TrimPrefix(row.env(), envPrefix+strings.ToUpper(backendsSection)+"_X")
		for _, s := range []string{suffix, suffix + strings.ToUpper(fileSuffix)} {
			if before, found := strings.CutSuffix(rest, s); found && before != "" && len(s) > longest && (row.secret || s == suffix) {
				longest = len(s)
				name = strings.ReplaceAll(strings.ToLower(before), "_", "-")
			}
		}
	}
	return name, longest > 0
}

// settleBackends completes and checks what was said of backends; none said is
// one folder beside the store.
func (c *configuration) settleBackends() error {
	if len(c.Backends) == 0 {
		c.Backends = []*BackendSettings{{Name: localBackend, Type: typeFS}}
	}
	for _, b := range c.Backends {
		if b.Type == typeFS && b.Name == localBackend && b.Path == "" {
			b.Path = filepath.Join(c.Data, blobsName)
		}
		if err := b.check(); err != nil {
			return fmt.Errorf("%s.%s.%w", backendsSection, b.Name, err)
		}
	}
	var names []string
	for _, b := range c.Backends {
		names = append(names, b.Name)
	}
	switch {
	case c.PlacementDefault == "" && len(c.Backends) == 1:
		c.PlacementDefault = c.Backends[0].Name
	case c.PlacementDefault == "":
		return fmt.Errorf("placement.default must name one of the backends: %s", strings.Join(names, ", "))
	case !slices.Contains(names, c.PlacementDefault):
		return fmt.Errorf("placement.default: there is no backend %q; there is %s", c.PlacementDefault, strings.Join(names, ", "))
	}
	return nil
}

// configured reports whether store or backends are others than the data folder's.
func (c *configuration) configured() bool {
	return c.StoreURL != "" || len(c.Backends) > 1 || c.Backends[0].Name != localBackend || c.Backends[0].Type != typeFS
}

// check finds settings that do not belong to the backend's type or contradict
// one another. Errors begin with the setting's name.
func (b *BackendSettings) check() error {
	remote := map[string]string{"endpoint": b.Endpoint, "bucket": b.Bucket, "prefix": b.Prefix, "ca_file": b.CAFile,
		"storage_class": b.StorageClass, "credentials_file": b.CredentialsFile}
	s3only := map[string]string{"dialect": b.Dialect, "access_key": b.AccessKey, "secret_key": b.SecretKey,
		"session_token": b.SessionToken, "profile": b.Profile}
	switch b.Type {
	case "":
		return errors.New("type is missing: want fs, s3 or gcs")
	case typeFS:
		if b.Path == "" {
			return errors.New("path must name a folder")
		}
		return foreign(b.Type, remote, s3only)
	}
	switch {
	case b.Path != "":
		return fmt.Errorf("path belongs to type fs, not to %s", b.Type)
	case b.Bucket == "":
		return errors.New("bucket must name the bucket that keeps the blobs")
	case b.Type == typeGCS:
		if b.Credentials != "auto" && b.Credentials != "none" {
			return fmt.Errorf("credentials %q is for type s3; for gcs auto or none", b.Credentials)
		}
		return foreign(b.Type, s3only)
	case b.Credentials == "none":
		return errors.New(`credentials "none" is for type gcs`)
	case (b.AccessKey == "") != (b.SecretKey == ""):
		return errors.New("access_key and secret_key belong together: set both or neither")
	case b.Credentials == "static" && b.AccessKey == "":
		return errors.New(`credentials "static" needs access_key and secret_key`)
	}
	return nil
}

// foreign refuses the first setting that another type of backend would want.
func foreign(kind string, groups ...map[string]string) error {
	for _, g := range groups {
		for _, name := range slices.Sorted(maps.Keys(g)) {
			if g[name] != "" {
				return fmt.Errorf("%s does not belong to type %s", name, kind)
			}
		}
	}
	return nil
}

// concurrency is how many requests to a backend are under way at once. A download
// counts for as long as its client takes, and a backend does not know whose it is. So
// unless it is set, the seats of requests run out first, of which one tenant never has
// all: two for each, as a copy reads and writes.
func (b *BackendSettings) concurrency(requests int) int {
	if b.Concurrency > 0 {
		return b.Concurrency
	}
	return 2*requests + ownConcurrency
}

// concurrencies are what backends take at once that say so, by name.
func (c *configuration) concurrencies() map[string]int {
	all := make(map[string]int)
	for _, b := range c.Backends {
		if b.Type != typeFS && b.Concurrency > 0 {
			all[b.Name] = b.Concurrency
		}
	}
	return all
}
