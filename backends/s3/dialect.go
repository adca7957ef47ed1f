package s3

import "strings"

// DialectAuto lets Open choose the dialect.
const DialectAuto = "auto"

// A Dialect lists the parts of S3 that a provider supports. A false costs one more
// request or one check less, never a blob.
type Dialect struct {
	Name string
	// Hosts are the ends of this provider's host names.
	Hosts []string
	// Probe: releases or regions differ, so that auto asks the server.
	Probe bool
	// Region is the signing region of a provider that has only one.
	Region string
	// Virtual: auto puts buckets into host names.
	Virtual bool
	// Conditional: PUT honours If-None-Match, atomically. ConditionalComplete: so
	// does CompleteMultipartUpload.
	Conditional         bool
	ConditionalComplete bool
	// CRC32C: x-amz-checksum-crc32c is verified. Echo: the response repeats it.
	// Without CRC32C, small bodies have a Content-MD5.
	CRC32C bool
	Echo   bool
	// Trailers: the checksum may follow the body, over TLS. Streaming: bodies may
	// be signed in chunks, which plain HTTP requires.
	Trailers  bool
	Streaming bool
	// MD5ETag: the ETag of a body sent by one PUT is its MD5, unless the response
	// names a KMS key.
	MD5ETag bool
	// BulkDelete: it has DeleteObjects.
	BulkDelete bool
	// SingleLimit is the largest single PUT; MinPart and MaxPart bound all parts of
	// an upload except the last; all are in bytes. MaxParts is the most parts.
	SingleLimit int64
	MinPart     int64
	MaxPart     int64
	MaxParts    int
	// Note is for people.
	Note string
}

// Limits of AWS, which most others have too:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	gib         = 1 << 30
	awsSingle   = 5 * gib
	awsMinPart  = 5 << 20
	awsMaxPart  = 5 * gib
	awsMaxParts = 10_000
	// decimalSingle is "5 GB" for providers that mean powers of ten, and a little
	// less for those with 5 GiB minus something.
	decimalSingle = 4_900_000_000
)

// table has the documented abilities of each dialect. docs/backends.md repeats it
// and adds which were tested.
var table = []Dialect{
	{Name: "aws", Hosts: []string{".amazonaws.com", ".amazonaws.com.cn"}, Virtual: true,
		Conditional: true, ConditionalComplete: true, CRC32C: true, Echo: true, Trailers: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "general purpose buckets; directory buckets list in no order and are refused by List"},
	{Name: "minio", Probe: true,
		Conditional: true, ConditionalComplete: true, CRC32C: true, Echo: true, Trailers: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "releases since 2024"},
	{Name: "versitygw", Probe: true,
		Conditional: true, ConditionalComplete: true, CRC32C: true, Echo: true, Trailers: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "version 1.8 on POSIX file systems"},
	{Name: "ceph", Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "auto finds more on new releases"},
	{Name: "r2", Hosts: []string{".r2.cloudflarestorage.com"}, Region: "auto",
		Conditional: true, Streaming: false, MD5ETag: true, BulkDelete: true, SingleLimit: decimalSingle,
		Note: "parts but the last have one size, as here"},
	{Name: "b2", Hosts: []string{".backblazeb2.com"}, Virtual: true, Streaming: true, MD5ETag: true, BulkDelete: true, SingleLimit: decimalSingle, MaxPart: decimalSingle,
		Note: "keeps old versions unless a lifecycle rule removes them at once"},
	{Name: "wasabi", Hosts: []string{".wasabisys.com"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "bills deleted objects for a minimum time"},
	{Name: "gcs", Hosts: []string{"storage.googleapis.com"}, Region: "auto", MD5ETag: true,
		Note: "HMAC keys; the gcs backend is the better way"},
	{Name: "garage", Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "auto finds more on new releases"},
	{Name: "seaweedfs", Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "auto finds more on new releases"},
	{Name: "digitalocean", Hosts: []string{".digitaloceanspaces.com"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "limits the rate of deletions"},
	{Name: "hetzner", Hosts: []string{".your-objectstorage.com"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true},
	{Name: "scaleway", Hosts: []string{".scw.cloud"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true, MaxParts: 1000,
		Note: "1,000 parts at most"},
	{Name: "ovh", Hosts: []string{".io.cloud.ovh.net", ".io.cloud.ovh.us", ".perf.cloud.ovh.net"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true},
	{Name: "storj", Hosts: []string{".storjshare.io"}, Probe: true, Streaming: true, MD5ETag: true, BulkDelete: true,
		Note: "prefers objects of 64 MiB and more"},
	{Name: "generic", Probe: true, Streaming: true, BulkDelete: true,
		Note: "any other; auto finds out"},
}

// generic is the row for unknown providers.
const generic = "generic"

// Dialects lists the valid values of Options.Dialect, except "auto".
func Dialects() []string {
	names := make([]string, len(table))
	for i, d := range table {
		names[i] = d.Name
	}
	return names
}

// dialectNamed returns a row with its limits filled in. The name must be in the
// table.
func dialectNamed(name string) Dialect {
	for _, d := range table {
		if d.Name == name {
			return d.withLimits()
		}
	}
	return dialectNamed(generic)
}

// dialectAt returns the row of the provider at host.
func dialectAt(host string) Dialect {
	for _, d := range table {
		for _, end := range d.Hosts {
			if host == strings.TrimPrefix(end, ".") || strings.HasSuffix(host, end) {
				return d.withLimits()
			}
		}
	}
	return dialectNamed(generic)
}

func (d Dialect) withLimits() Dialect {
	if d.SingleLimit == 0 {
		d.SingleLimit = awsSingle
	}
	if d.MinPart == 0 {
		d.MinPart = awsMinPart
	}
	if d.MaxPart == 0 {
		d.MaxPart = awsMaxPart
	}
	if d.MaxParts == 0 {
		d.MaxParts = awsMaxParts
	}
	return d
}
