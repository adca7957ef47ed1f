package main

import (
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/workers"
)

// Settings are everything that can be configured. They control the process
// only: tenants, users, credentials and buckets are in the store. Names,
// defaults and meanings of the settings are in table and nowhere else.
type Settings struct {
	Data      string
	AccessKey string
	SecretKey string
	Buckets   []string

	S3Address           string
	S3Regions           []string
	S3Domains           []string
	S3WebsiteDomains    []string
	S3BlockPublicAccess bool
	S3ObjectOwnership   string
	S3SignatureV2       string

	STSAllowPrivateProviders bool
	S3Proxies                []netip.Prefix

	AdminAddress string
	AdminTLS     bool
	AdminURL     string

	MetricsAddress string

	AllowInsecurePublic []string

	TLSCertFile      string
	TLSKeyFile       string
	TLSACMEDomains   []string
	TLSACMEEmail     string
	TLSACMEDirectory string
	TLSHTTP2         bool

	StoreURL            string
	StoreExecMode       string
	StoreMaxConnections int
	StoreAutoMigrate    bool

	Backends         []*BackendSettings // by name
	PlacementDefault string

	KeyProviders []*KeyProviderSettings // by name; none: the key file of keyring.path
	KeysDefault  string
	KeysSecond   string
	KeysCache    time.Duration
	// KeysDebuggable leaves the memory, which has keys, open to debuggers and core dumps.
	KeysDebuggable bool

	KeyringPath       string
	KeyringPassphrase string

	CollectorInterval     time.Duration
	CollectorGrace        time.Duration
	CollectorUploadExpiry time.Duration
	LifecycleInterval     time.Duration
	LifecycleRate         int

	LimitsConnections       int
	LimitsRequests          int
	LimitsStallTimeout      time.Duration
	LimitsPauseTimeout      time.Duration
	LimitsStoreTimeout      time.Duration
	LimitsBuckets           int
	LimitsReadHeaderTimeout time.Duration
	LimitsIdleTimeout       time.Duration

	ShutdownTimeout time.Duration
	ShutdownDelay   time.Duration

	LogLevel  slog.Level
	LogFormat string
}

// scope tells which commands have a flag for a setting. Every command reads all
// settings from the file and the environment, so one set of them serves all
// commands.
type scope uint8

const (
	forServe  scope = 1 << iota // serve, and config, which shows the settings of serve
	forFolder                   // commands that open a deployment themselves
	forClient                   // commands that call the admin API of a running server
	forHealth                   // the health command
)

// setting is one row of the table. Its environment variable is SANCTUM_ and the
// key in capitals, with _ for the dot.
type setting struct {
	key    string // as in the file: section.name, or a name alone
	flag   string // empty: no flag
	def    string // the default, as one would write it
	scope  scope
	secret bool // can also be in a file named by key_file; has no flag and is never shown
	// bare is the value of the flag without a value.
	bare  string
	value value // the place of the value
	doc   string
}

// textSetting is a setting without flag whose value is any text.
func textSetting(key, doc string, p *string) setting {
	return setting{key: key, value: (*text)(p), doc: doc}
}

// secretSetting is a textSetting that is never shown.
func secretSetting(key, doc string, p *string) setting {
	return setting{key: key, value: (*text)(p), doc: doc, secret: true}
}

// Bounds and special values of settings.
const (
	minLifecycleRate = 1
	maxLifecycleRate = 1_000_000
	minConnections   = 16
	maxConnections   = 1 << 20

	minStoreConnections = 2
	maxStoreConnections = 1024
	// turnShare divides the connections to the store: one tenant may use that
	// part of them at once for requests that are expensive for the store.
	turnShare = 4

	minInterval = time.Second
	maxInterval = 366 * 24 * time.Hour

	// The key provider is asked again when half of keys.cache is over, which has to leave
	// time for some looks of workers.Keys and the provider's answer.
	minKeysCache      = 10 * time.Second
	maxKeysCache      = time.Hour
	everyListener     = "all"
	defaultRegion     = "us-east-1"
	anyRegion         = "any"
	defaultACMEServer = "https://acme-v02.api.letsencrypt.org/directory"
)

// Values of s3.signature_v2.
const (
	signatureOff       = "off"
	signaturePresigned = "presigned"
	signatureAll       = "all"
)

// signatureV2 is s3.signature_v2 in the form of the API.
func (s *Settings) signatureV2() sigv4.Version2Use {
	switch s.S3SignatureV2 {
	case signaturePresigned:
		return sigv4.Version2Presigned
	case signatureAll:
		return sigv4.Version2All
	}
	return sigv4.Version2Off
}

// regions splits s3.region into the region that clients are shown, other
// regions that they may sign for, and whether they may sign for any.
func (s *Settings) regions() (first string, others []string, all bool) {
	for _, name := range s.S3Regions {
		switch {
		case name == anyRegion:
			all = true
		case first == "":
			first = name
		default:
			others = append(others, name)
		}
	}
	if first == "" {
		first = defaultRegion
	}
	return first, others, all
}

// region is the region that clients are shown.
func (s *Settings) region() string {
	first, _, _ := s.regions()
	return first
}

// table lists every setting, in the order of config show.
func (s *Settings) table() []setting {
	interval := func(p *time.Duration) value { return &span{p, minInterval, maxInterval} }
	return []setting{
		{key: "data", flag: "data", def: "./sanctum-data", scope: forServe | forFolder, value: (*text)(&s.Data),
			doc: "folder of the key file, the store and the sealed blobs; created at the first start"},
		{key: "access_key", secret: true, value: (*text)(&s.AccessKey),
			doc: "access key of the operator; generated and stored at the first start when absent"},
		{key: "secret_key", secret: true, value: (*text)(&s.SecretKey),
			doc: "secret key of the operator"},
		{key: "buckets", flag: "buckets", scope: forServe, value: (*list)(&s.Buckets),
			doc: "buckets to create at start, owned by the operator, unless they exist"},

		{key: "s3.address", flag: "s3", def: "127.0.0.1:9000", scope: forServe, value: (*address)(&s.S3Address),
			doc: "host:port of the S3 API"},
		{key: "s3.region", flag: "region", def: defaultRegion, scope: forServe | forClient, value: (*list)(&s.S3Regions),
			doc: "regions that clients may sign for, the first of which is shown to them; any allows every name and none"},
		{key: "s3.domains", flag: "s3-domains", scope: forServe, value: (*list)(&s.S3Domains),
			doc: "domains under which bucket.domain addresses a bucket"},
		{key: "s3.website_domains", flag: "s3-website-domains", scope: forServe, value: (*list)(&s.S3WebsiteDomains),
			doc: "domains under which bucket.domain is the bucket's website"},
		{key: "sts.allow_private_providers", flag: "sts-allow-private-providers", def: "false", bare: "true",
			scope: forServe, value: (*flag)(&s.STSAllowPrivateProviders),
			doc: "allow tenants to register identity providers at private addresses, from which the gateway reads keys"},
		{key: "s3.block_public_access", flag: "s3-block-public-access", def: "true", bare: "true",
			scope: forServe, value: (*flag)(&s.S3BlockPublicAccess),
			doc: "block public policies and ACLs of buckets without a configuration of their own, as AWS does"},
		{key: "s3.object_ownership", flag: "s3-object-ownership", scope: forServe, def: string(access.BucketOwnerEnforced),
			value: &choice{&s.S3ObjectOwnership, []string{
				string(access.BucketOwnerEnforced), string(access.BucketOwnerPreferred), string(access.ObjectWriter)}},
			doc: "Object Ownership of new buckets whose creators ask for none: BucketOwnerEnforced has no ACLs, the others do"},
		{key: "s3.signature_v2", flag: "s3-signature-v2", scope: forServe, def: signatureOff,
			value: &choice{&s.S3SignatureV2, []string{signatureOff, signaturePresigned, signatureAll}},
			doc:   "accept Signature Version 2 of old clients: off, presigned (URLs and forms), or all"},

		{key: "s3.proxies", flag: "s3-proxies", scope: forServe, value: (*prefixes)(&s.S3Proxies),
			doc: "addresses of proxies whose X-Forwarded-Proto and X-Forwarded-For are trusted, such as 10.0.0.0/8"},

		{key: "admin.address", flag: "admin", def: "127.0.0.1:9001", scope: forServe, value: (*address)(&s.AdminAddress),
			doc: "host:port of the admin API"},
		{key: "admin.tls", flag: "admin-tls", def: "false", scope: forServe, value: (*flag)(&s.AdminTLS),
			doc: "serve the admin API with the certificate of the tls section"},
		{key: "admin.url", flag: "admin-url", def: "http://127.0.0.1:9001", scope: forClient, value: (*text)(&s.AdminURL),
			doc: "where commands find the admin API"},

		{key: "metrics.address", flag: "metrics", def: "127.0.0.1:9002",
			scope: forServe | forHealth, value: (*address)(&s.MetricsAddress),
			doc: "host:port of /metrics, /livez and /readyz"},

		{key: "allow_insecure_public", flag: "allow-insecure-public", bare: everyListener, scope: forServe,
			value: &choices{&s.AllowInsecurePublic, []string{"s3", "admin", "metrics", everyListener}},
			doc:   "listeners that may have a public address without TLS: s3, admin, metrics or all"},

		{key: "tls.cert_file", flag: "tls-cert-file", scope: forServe, value: (*text)(&s.TLSCertFile),
			doc: "certificate chain in PEM; read again on SIGHUP and when it changes"},
		{key: "tls.key_file", flag: "tls-key-file", scope: forServe, value: (*text)(&s.TLSKeyFile),
			doc: "private key of the certificate in PEM"},
		{key: "tls.acme_domains", flag: "tls-acme-domains", scope: forServe, value: (*list)(&s.TLSACMEDomains),
			doc: "domains to get certificates for by ACME (tls-alpn-01, so port 443 must lead here)"},
		{key: "tls.acme_email", flag: "tls-acme-email", scope: forServe, value: (*text)(&s.TLSACMEEmail),
			doc: "contact address for the ACME authority"},
		{key: "tls.acme_directory", flag: "tls-acme-directory", def: defaultACMEServer,
			scope: forServe, value: (*text)(&s.TLSACMEDirectory),
			doc: "directory URL of the ACME authority"},
		{key: "tls.http2", flag: "tls-http2", scope: forServe, value: (*flag)(&s.TLSHTTP2), def: "true", bare: "true",
			doc: "offer HTTP/2 to clients over TLS; no S3 client needs it, and only a proxy limits its control frames"},

		{key: storeURLKey, secret: true, value: (*text)(&s.StoreURL),
			doc: "postgres://user:password@host/database of the store; empty: SQLite in the data folder"},
		{key: "store.exec_mode", def: "cache_statement", scope: forServe | forFolder,
			value: &choice{&s.StoreExecMode, []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}},
			doc:   "Postgres: how statements are sent; behind PgBouncer before 1.21 exec or cache_describe"},
		{key: "store.max_connections", def: "16",
			scope: forServe | forFolder, value: &count{&s.StoreMaxConnections, minStoreConnections, maxStoreConnections},
			doc: "Postgres: maximum of this gateway's connections"},
		{key: "store.auto_migrate", def: "true", scope: forServe, value: (*flag)(&s.StoreAutoMigrate),
			doc: "Postgres: bring the schema up to date at start; if false, run gateway db migrate"},

		{key: "placement.default", flag: "placement-default", scope: forServe | forFolder, value: (*text)(&s.PlacementDefault),
			doc: "backend of new buckets that demand no place; required if there are several backends"},

		{key: keysDefaultKey, value: (*text)(&s.KeysDefault), scope: forServe | forFolder,
			doc: "key provider that wraps new seeds; required if there are several key_providers"},
		{key: keysSecondKey, value: (*text)(&s.KeysSecond), scope: forServe | forFolder,
			doc: "key provider that wraps new seeds as well, so that either opens them; empty: none"},
		{key: "keys.cache", def: "1m", scope: forServe, value: &span{&s.KeysCache, minKeysCache, maxKeysCache},
			doc: "how long keys stay in memory, and so the time within which a key that its provider disabled or deleted is felt"},
		{key: "keys.debuggable", def: "false", scope: forServe | forFolder, value: (*flag)(&s.KeysDebuggable),
			doc: "Linux: let debuggers attach and core dumps be written, which have keys; for an investigation only"},
		{key: "keyring.path", flag: "keyring-path", scope: forServe | forFolder, value: (*text)(&s.KeyringPath),
			doc: "the key file; empty: the file keyring in the data folder"},
		{key: "keyring.passphrase", secret: true, value: (*text)(&s.KeyringPassphrase),
			doc: "passphrase that the key file is locked with; empty: none"},

		{key: "collector.interval", flag: "collector-interval", def: "1m", scope: forServe, value: interval(&s.CollectorInterval),
			doc: "pause between two passes that delete unreferenced bytes"},
		{key: "collector.grace", flag: "collector-grace", def: "10m", scope: forServe, value: interval(&s.CollectorGrace),
			doc: "how long replaced and deleted bytes are kept for reads in progress"},
		{key: "collector.upload_expiry", flag: "collector-upload-expiry", def: "168h",
			scope: forServe, value: interval(&s.CollectorUploadExpiry),
			doc: "age at which an open multipart upload is aborted"},

		{key: "lifecycle.interval", flag: "lifecycle-interval", def: "5m", scope: forServe, value: interval(&s.LifecycleInterval),
			doc: "pause between two searches for buckets whose lifecycle rules or inventories are due, which is after midnight UTC"},
		{key: "lifecycle.rate", flag: "lifecycle-rate", def: strconv.Itoa(workers.DefaultLifecycleRate),
			scope: forServe, value: &count{&s.LifecycleRate, minLifecycleRate, maxLifecycleRate},
			doc: "maximum of rows a second that lifecycle rules cost the store, and as many for inventories; " +
				"the removal of a version counts as twenty"},

		{key: "limits.connections", flag: "limits-connections", def: "4096",
			scope: forServe, value: &count{&s.LimitsConnections, minConnections, maxConnections},
			doc: "maximum of connections of the S3 listener, three quarters of it for one address that is no proxy; " +
				"further ones wait in the system's queue"},
		{key: "limits.requests", flag: "limits-requests", def: "1024",
			scope: forServe, value: &count{&s.LimitsRequests, minConnections, maxConnections},
			doc: "maximum of S3 requests served at once; further ones are told to slow down"},
		{key: "limits.stall_timeout", flag: "limits-stall-timeout", def: "30s", scope: forServe, value: interval(&s.LimitsStallTimeout),
			doc: "time without a byte of a request's body after which the client is cut off; a slow client is not"},
		{key: "limits.pause_timeout", flag: "limits-pause-timeout", def: "5m", scope: forServe, value: interval(&s.LimitsPauseTimeout),
			doc: "time without taking a byte of an answer after which the client is cut off"},
		{key: "limits.store_timeout", flag: "limits-store-timeout", def: "5s", scope: forServe, value: interval(&s.LimitsStoreTimeout),
			doc: "time that a request waits for one answer of the store before it is told to retry; background work waits longer"},
		{key: "limits.buckets", flag: "limits-buckets", def: strconv.Itoa(buckets.DefaultMax),
			scope: forServe, value: &count{&s.LimitsBuckets, 1, meta.MaxBucketCount},
			doc: "maximum of buckets of a tenant that has no limit of its own"},
		{key: "limits.read_header_timeout", flag: "limits-read-header-timeout", def: "15s",
			scope: forServe, value: interval(&s.LimitsReadHeaderTimeout),
			doc: "time for a client to send the header of a request"},
		{key: "limits.idle_timeout", flag: "limits-idle-timeout", def: "2m", scope: forServe, value: interval(&s.LimitsIdleTimeout),
			doc: "time that a connection may stay open between two requests"},

		{key: "shutdown.timeout", flag: "shutdown-timeout", def: "30s", scope: forServe, value: interval(&s.ShutdownTimeout),
			doc: "time for running requests to finish after SIGTERM"},
		{key: "shutdown.delay", flag: "shutdown-delay", def: "0s", scope: forServe, value: &span{&s.ShutdownDelay, 0, maxInterval},
			doc: "time between being unready and refusing connections after SIGTERM, for load balancers to notice"},

		{key: "log.level", flag: "log-level", def: "info", scope: forServe | forFolder, value: (*level)(&s.LogLevel),
			doc: "debug, info, warn or error; read again on SIGHUP"},
		{key: "log.format", flag: "log-format", def: "auto",
			scope: forServe | forFolder, value: &choice{&s.LogFormat, []string{"auto", "json", "text"}},
			doc: "json, text, or auto: text on a terminal, json elsewhere"},
	}
}
