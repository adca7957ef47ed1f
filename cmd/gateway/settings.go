package main

import (
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/workers"
)

// Settings are everything that can be configured. They only start the process:
// users, credentials and buckets live in the store. Their names, defaults and
// meanings are in table, and nowhere else.
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

// scope says which commands take a setting as a flag. Every command reads all
// settings from file and environment, so that one set of them serves all.
type scope uint8

const (
	forServe  scope = 1 << iota // serve, and config, which looks at what serve would do
	forFolder                   // commands that open a data folder by themselves
	forClient                   // commands that talk to a running server's admin API
	forHealth                   // the health command
)

// setting is one row of the table. Its environment variable is SANCTUM_ and the
// key in capitals, with _ for the dot.
type setting struct {
	key    string // as in the file: section.name, or name alone
	flag   string // empty: not a flag
	def    string // as it would be written
	scope  scope
	secret bool // also read from the file named by key_file; never a flag, never shown
	bare   string
	value  value // where it goes
	doc    string
}

// Limits of what is configured.
const (
	minLifecycleRate = 1
	maxLifecycleRate = 1_000_000
	minConnections   = 16
	maxConnections   = 1 << 20

	minStoreConnections = 2
	maxStoreConnections = 1024
	// turnShare is the part of the store's connections that one tenant may take at once
	// with requests of a kind that ask it for much.
	turnShare = 4

	minInterval       = time.Second
	maxInterval       = 366 * 24 * time.Hour
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

// signatureV2 is s3.signature_v2 as the API takes it.
func (s *Settings) signatureV2() sigv4.Version2Use {
	switch s.S3SignatureV2 {
	case signaturePresigned:
		return sigv4.Version2Presigned
	case signatureAll:
		return sigv4.Version2All
	}
	return sigv4.Version2Off
}

// regions are the region that is shown to clients, others that they may sign for, and
// whether they may sign for any.
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

// region is the first of them.
func (s *Settings) region() string {
	first, _, _ := s.regions()
	return first
}

// table lists every setting, in the order in which they are shown.
func (s *Settings) table() []setting {
	interval := func(p *time.Duration) value { return &span{p, minInterval, maxInterval} }
	return []setting{
		{key: "data", flag: "data", def: "./sanctum-data", scope: forServe | forFolder, value: (*text)(&s.Data),
			doc: "folder of the keyring, the store and the sealed blobs; made at the first start"},
		{key: "access_key", secret: true, value: (*text)(&s.AccessKey),
			doc: "access key of the operator; generated and stored at the first start when absent"},
		{key: "secret_key", secret: true, value: (*text)(&s.SecretKey),
			doc: "secret key of the operator"},
		{key: "buckets", flag: "buckets", scope: forServe, value: (*list)(&s.Buckets),
			doc: "buckets to create at start, owned by the operator, unless they exist"},

		{key: "s3.address", flag: "s3", def: "127.0.0.1:9000", scope: forServe, value: (*address)(&s.S3Address),
			doc: "host:port of the S3 API"},
		{key: "s3.region", flag: "region", def: defaultRegion, scope: forServe | forClient, value: (*list)(&s.S3Regions),
			doc: "regions that clients may sign for, of which the first is shown to them; any stands for all names, also for none"},
		{key: "s3.domains", flag: "s3-domains", scope: forServe, value: (*list)(&s.S3Domains),
			doc: "domains under which bucket.domain addresses a bucket"},
		{key: "s3.website_domains", flag: "s3-website-domains", scope: forServe, value: (*list)(&s.S3WebsiteDomains),
			doc: "domains under which bucket.domain is the bucket's website"},
		{key: "sts.allow_private_providers", flag: "sts-allow-private-providers", scope: forServe, value: (*flag)(&s.STSAllowPrivateProviders), def: "false", bare: "true",
			doc: "identity providers that tenants register may be at private addresses; their keys are read from there"},
		{key: "s3.block_public_access", flag: "s3-block-public-access", scope: forServe, value: (*flag)(&s.S3BlockPublicAccess), def: "true", bare: "true",
			doc: "block public policies and ACLs of buckets that do not say otherwise, as AWS does"},
		{key: "s3.object_ownership", flag: "s3-object-ownership", scope: forServe, def: string(access.BucketOwnerEnforced),
			value: &choice{&s.S3ObjectOwnership, []string{string(access.BucketOwnerEnforced), string(access.BucketOwnerPreferred), string(access.ObjectWriter)}},
			doc:   "Object Ownership of new buckets whose makers ask for none: BucketOwnerEnforced has no ACLs, the others do"},
		{key: "s3.signature_v2", flag: "s3-signature-v2", scope: forServe, def: signatureOff,
			value: &choice{&s.S3SignatureV2, []string{signatureOff, signaturePresigned, signatureAll}},
			doc:   "Signature Version 2 of old clients is taken: off, presigned (URLs and forms), or all"},

		{key: "s3.proxies", flag: "s3-proxies", scope: forServe, value: (*prefixes)(&s.S3Proxies),
			doc: "addresses of proxies whose X-Forwarded-Proto and X-Forwarded-For are believed, such as 10.0.0.0/8"},

		{key: "admin.address", flag: "admin", def: "127.0.0.1:9001", scope: forServe, value: (*address)(&s.AdminAddress),
			doc: "host:port of the admin API"},
		{key: "admin.tls", flag: "admin-tls", def: "false", scope: forServe, value: (*flag)(&s.AdminTLS),
			doc: "serve the admin API with the certificate of the tls section"},
		{key: "admin.url", flag: "admin-url", def: "http://127.0.0.1:9001", scope: forClient, value: (*text)(&s.AdminURL),
			doc: "where commands find the admin API"},

		{key: "metrics.address", flag: "metrics", def: "127.0.0.1:9002", scope: forServe | forHealth, value: (*address)(&s.MetricsAddress),
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
			doc: "contact that the ACME authority may write to"},
		{key: "tls.acme_directory", flag: "tls-acme-directory", def: defaultACMEServer, scope: forServe, value: (*text)(&s.TLSACMEDirectory),
			doc: "directory URL of the ACME authority"},
		{key: "tls.http2", flag: "tls-http2", scope: forServe, value: (*flag)(&s.TLSHTTP2), def: "true", bare: "true",
			doc: "HTTP/2 is offered to clients over TLS; no S3 client needs it, and only a proxy bounds its control frames"},

		{key: storeURLKey, secret: true, value: (*text)(&s.StoreURL),
			doc: "postgres://user:password@host/database of the store; empty: SQLite in the data folder"},
		{key: "store.exec_mode", def: "cache_statement", scope: forServe | forFolder,
			value: &choice{&s.StoreExecMode, []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}},
			doc:   "Postgres: how statements are sent; behind PgBouncer before 1.21 exec or cache_describe"},
		{key: "store.max_connections", def: "16", scope: forServe | forFolder, value: &count{&s.StoreMaxConnections, minStoreConnections, maxStoreConnections},
			doc: "Postgres: connections of this gateway at most"},
		{key: "store.auto_migrate", def: "true", scope: forServe, value: (*flag)(&s.StoreAutoMigrate),
			doc: "Postgres: bring the schema up to date at start; if false, gateway db migrate does"},

		{key: "placement.default", flag: "placement-default", scope: forServe | forFolder, value: (*text)(&s.PlacementDefault),
			doc: "backend of new buckets that demand nothing; needed where there are several"},

		{key: "keyring.path", flag: "keyring-path", scope: forServe | forFolder, value: (*text)(&s.KeyringPath),
			doc: "the key file; empty: the file keyring in the data folder"},
		{key: "keyring.passphrase", secret: true, value: (*text)(&s.KeyringPassphrase),
			doc: "passphrase that the key file is locked with; empty: none"},

		{key: "collector.interval", flag: "collector-interval", def: "1m", scope: forServe, value: interval(&s.CollectorInterval),
			doc: "pause between two passes that delete what nothing refers to"},
		{key: "collector.grace", flag: "collector-grace", def: "10m", scope: forServe, value: interval(&s.CollectorGrace),
			doc: "how long replaced and deleted bytes are kept for readers that are under way"},
		{key: "collector.upload_expiry", flag: "collector-upload-expiry", def: "168h", scope: forServe, value: interval(&s.CollectorUploadExpiry),
			doc: "age at which an open multipart upload is aborted"},

		{key: "lifecycle.interval", flag: "lifecycle-interval", def: "5m", scope: forServe, value: interval(&s.LifecycleInterval),
			doc: "pause between two looks for buckets whose lifecycle rules or inventories are due, which they are after midnight UTC"},
		{key: "lifecycle.rate", flag: "lifecycle-rate", def: strconv.Itoa(workers.DefaultLifecycleRate), scope: forServe, value: &count{&s.LifecycleRate, minLifecycleRate, maxLifecycleRate},
			doc: "rows a second that lifecycle rules, and as many that inventories, cost the store at most; a version that is removed counts for twenty"},

		{key: "limits.connections", flag: "limits-connections", def: "4096", scope: forServe, value: &count{&s.LimitsConnections, minConnections, maxConnections},
			doc: "connections that the S3 listener holds at once, of one address that is no proxy three quarters; more wait in the system's queue"},
		{key: "limits.requests", flag: "limits-requests", def: "1024", scope: forServe, value: &count{&s.LimitsRequests, minConnections, maxConnections},
			doc: "S3 requests served at once; more are told to slow down"},
		{key: "limits.stall_timeout", flag: "limits-stall-timeout", def: "30s", scope: forServe, value: interval(&s.LimitsStallTimeout),
			doc: "time a client may send no byte of a body before it is cut off; one that goes on is waited for, however slow"},
		{key: "limits.pause_timeout", flag: "limits-pause-timeout", def: "5m", scope: forServe, value: interval(&s.LimitsPauseTimeout),
			doc: "time a client may take no byte of an answer before it is cut off"},
		{key: "limits.store_timeout", flag: "limits-store-timeout", def: "5s", scope: forServe, value: interval(&s.LimitsStoreTimeout),
			doc: "time that a request waits for one answer of the store before it is told to try again; work in the background waits longer"},
		{key: "limits.buckets", flag: "limits-buckets", def: strconv.Itoa(engine.DefaultMaxBuckets), scope: forServe, value: &count{&s.LimitsBuckets, 1, meta.MaxBucketCount},
			doc: "buckets of a tenant whose own limits do not say how many"},
		{key: "limits.read_header_timeout", flag: "limits-read-header-timeout", def: "15s", scope: forServe, value: interval(&s.LimitsReadHeaderTimeout),
			doc: "time a client has to send the header of a request"},
		{key: "limits.idle_timeout", flag: "limits-idle-timeout", def: "2m", scope: forServe, value: interval(&s.LimitsIdleTimeout),
			doc: "time a connection may stay open between two requests"},

		{key: "shutdown.timeout", flag: "shutdown-timeout", def: "30s", scope: forServe, value: interval(&s.ShutdownTimeout),
			doc: "time that requests under way have to end after SIGTERM"},

		{key: "shutdown.delay", flag: "shutdown-delay", def: "0s", scope: forServe, value: &span{&s.ShutdownDelay, 0, maxInterval},
			doc: "time between not being ready and refusing connections after SIGTERM, for load balancers to notice"},

		{key: "log.level", flag: "log-level", def: "info", scope: forServe | forFolder, value: (*level)(&s.LogLevel),
			doc: "debug, info, warn or error; read again on SIGHUP"},
		{key: "log.format", flag: "log-format", def: "auto", scope: forServe | forFolder, value: &choice{&s.LogFormat, []string{"auto", "json", "text"}},
			doc: "json, text, or auto: text on a terminal, json elsewhere"},
	}
}
