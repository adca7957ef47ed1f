package main

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/sigv4"
)

// Types of backends.
const (
	typeFS  = "fs"
	typeS3  = "s3"
	typeGCS = "gcs"
)

// localBackend is the name of the backend that exists when none is configured:
// a folder beside the store.
const localBackend = "local"

const (
	backendsSection = "backends"
	// maxBackends bounds the number of configured backends.
	maxBackends = 32
	// maxConcurrency is the upper bound of backends.NAME.concurrency.
	maxConcurrency = 1 << 16
	// ownConcurrency is the part of the default concurrency that the gateway
	// needs for its own work at a backend, such as collecting.
	ownConcurrency = 256
)

// BackendSettings are the settings of one backend. A comment in the list names
// the types that the settings below it apply to.
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

// rows lists the settings of a backend, as table lists the others.
func (b *BackendSettings) rows() []setting {
	all := []setting{
		{key: "type", value: &choice{&b.Type, []string{typeFS, typeS3, typeGCS}},
			doc: "kind of storage for the sealed blobs: fs, s3 or gcs"},
		textSetting("region", "region of the storage; for s3 also the region that requests are signed for, detected when empty", &b.Region),
		textSetting("jurisdiction", "jurisdiction of the storage, such as EU; buckets and tenants may demand one", &b.Jurisdiction),
		textSetting("path", "fs: folder of the blobs; empty for the backend local: blobs in the data folder", &b.Path),
		textSetting("endpoint", "s3, gcs: URL of the service; empty: AWS or Google", &b.Endpoint),
		textSetting("bucket", "s3, gcs: the bucket, which must exist", &b.Bucket),
		textSetting("prefix", "s3, gcs: prefix of the names of all blobs", &b.Prefix),
		textSetting("ca_file", "s3, gcs: PEM file of certificates to trust in addition to the system's", &b.CAFile),
		textSetting("storage_class", "s3, gcs: storage class of new blobs; empty: the bucket's", &b.StorageClass),
		textSetting("credentials_file", "s3: shared credentials file; gcs: service account or other credentials in JSON", &b.CredentialsFile),
		{key: "credentials", def: "auto",
			value: &choice{&b.Credentials, []string{"auto", "static", "env", "file", "imds", "web_identity", "none"}},
			doc:   "s3: source of the credential: auto, static, env, file, imds or web_identity; gcs: auto or none"},
		{key: "concurrency", def: "0", value: &count{&b.Concurrency, 0, maxConcurrency},
			doc: "s3, gcs: maximum of requests in progress, three quarters of it for clients, shared among tenants; " +
				"further requests wait, and are told to slow down after a while; 0: more than limits.requests can need"},
		{key: "timeout", def: "5s", value: &span{&b.Timeout, minInterval, maxInterval},
			doc: "s3, gcs: maximum wait for the first byte of an answer; a call with its retries ends within twice this time; " +
				"the answer to a body may take another second for each 16 MiB sent"},
		{key: "stall_timeout", def: "15s", value: &span{&b.StallTimeout, minInterval, maxInterval},
			doc: "s3, gcs: maximum time without a byte of a body sent or received"},
		{key: "addressing", def: "auto", value: &choice{&b.Addressing, []string{"auto", "path", "virtual"}},
			doc: "s3: place of the bucket in URLs: auto, path or virtual (in the host name)"},
		textSetting("dialect", "s3: abilities of the provider, see docs/backends.md; empty: detected", &b.Dialect),
		secretSetting("access_key", "s3: access key", &b.AccessKey),
		secretSetting("secret_key", "s3: secret key", &b.SecretKey),
		secretSetting("session_token", "s3: session token", &b.SessionToken),
		textSetting("profile", "s3: profile in the credentials file", &b.Profile),
	}
	return ofNamed(backendsSection, b.Name, all)
}

// addBackend adds a backend under a new name, for namedRows.
func (c *configuration) addBackend(name string) ([]setting, error) {
	if len(c.Backends) == maxBackends {
		return nil, fmt.Errorf("more than %d backends", maxBackends)
	}
	b := &BackendSettings{Name: name}
	c.Backends = append(c.Backends, b)
	slices.SortFunc(c.Backends, func(a, b *BackendSettings) int { return strings.Compare(a.Name, b.Name) })
	return b.rows(), nil
}

// settleBackends completes and checks the settings of the backends. If none is
// configured, blobs are kept in a folder beside the store.
func (c *configuration) settleBackends() error {
	if len(c.Backends) == 0 {
		c.Backends = []*BackendSettings{{Name: localBackend, Type: typeFS}}
	}
	for _, b := range c.Backends {
		// Only the backend local can do without a path, because its blobs are beside
		// the store.
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
		return fmt.Errorf("placement.default: no backend is named %q; the backends are %s", c.PlacementDefault, strings.Join(names, ", "))
	}
	return nil
}

// configured reports whether the store or the blobs are elsewhere than in the
// data folder.
func (c *configuration) configured() bool {
	return c.StoreURL != "" || len(c.Backends) > 1 || c.Backends[0].Name != localBackend || c.Backends[0].Type != typeFS
}

// check refuses settings that do not apply to the backend's type or contradict
// each other. Errors begin with the setting's name.
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
		return errors.New("bucket must name the bucket for the blobs")
	case b.Type == typeGCS:
		if b.Credentials != "auto" && b.Credentials != "none" {
			return fmt.Errorf("credentials %q is for type s3; type gcs takes auto or none", b.Credentials)
		}
		return foreign(b.Type, s3only)
	case b.Credentials == "none":
		return errors.New(`credentials "none" is for type gcs`)
	case fips140.Enabled() && b.SecretKey != "" && len(b.SecretKey) < sigv4.MinApprovedSecret:
		return fmt.Errorf("secret_key must have at least %d characters in FIPS mode", sigv4.MinApprovedSecret)
	case (b.AccessKey == "") != (b.SecretKey == ""):
		return errors.New("access_key and secret_key belong together: set both or neither")
	case b.Credentials == "static" && b.AccessKey == "":
		return errors.New(`credentials "static" needs access_key and secret_key`)
	}
	return nil
}

// foreign refuses a setting that applies to other types of backends only. Names
// are sorted, so that the error is always about the same one.
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

// concurrency is the maximum of calls in progress at the backend. A download
// holds one for as long as its client takes, and a backend does not know
// tenants. So by default the limit is above that of requests, which one tenant
// never exhausts: two calls for each request, because a copy reads and writes.
func (b *BackendSettings) concurrency(requests int) int {
	if b.Concurrency > 0 {
		return b.Concurrency
	}
	return 2*requests + ownConcurrency
}

// concurrencies maps the names of backends to their concurrency, if that is
// configured. The API shares these places among tenants.
func (c *configuration) concurrencies() map[string]int {
	all := make(map[string]int)
	for _, b := range c.Backends {
		if b.Type != typeFS && b.Concurrency > 0 {
			all[b.Name] = b.Concurrency
		}
	}
	return all
}
