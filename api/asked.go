package api

import (
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/meta"
)

// said is one parameter that a request may give. A parameter that is invalid
// has an error and no value: access is decided without it, and its handler
// refuses it.
type said[T any] struct {
	given bool
	value T
	err   error
}

// get returns the value, or the zero value when none was given.
func (s said[T]) get() (T, error) { return s.value, s.err }

// known reports whether there is a value.
func (s said[T]) known() bool { return s.given && s.err == nil }

// saying is a parameter that was given.
func saying[T any](value T, err error) said[T] { return said[T]{given: true, value: value, err: err} }

// asked holds all parameters that policies can test: from the query, the
// header, the form or URL that became the header, and later the document. Each
// is parsed once. Condition keys (condition_keys.go) and handlers take their
// values from here, so that the operation carried out is the one decided on.
// Names are S3's: the case of query parameters matters, that of headers does
// not.
type asked struct {
	prefix, delimiter said[string]
	maxKeys           said[int] // as given, before it is cut to a page
	version           said[meta.VersionRef]
	source            said[sourceName] // of a copy

	tags          said[[]engine.Pair] // to set on an object
	bucketTags    said[[]engine.Pair] // to set on a bucket
	untag         said[[]string]      // to remove from a bucket
	lockMode      said[meta.LockMode]
	lockUntil     said[time.Time]
	hold          said[bool]
	canned        said[string]
	grants        said[[]askedGrant] // in the header
	granted       said[askedACL]     // in the document
	class         said[string]
	redirect      said[string]
	replaceMeta   said[bool]
	replaceTags   said[bool]
	encryption    said[string]
	kmsKey        said[string]
	algorithm     said[string] // of SSE-C
	match, none   said[string] // If-Match and If-None-Match
	ownership     said[access.Ownership]
	configuration said[bucketConfiguration]
	inventory     said[*inventory.Configuration]
	unsupported   unsupported // of the document
}

// Headers that several files use.
const (
	taggingHeader   = "X-Amz-Tagging"
	ownershipHeader = "X-Amz-Object-Ownership"
	namespaceHeader = "X-Amz-Bucket-Namespace"
)

// readAsked parses the query and the header.
func (r *Request) readAsked() {
	a := &r.asked
	a.prefix, a.delimiter = r.sayQuery("prefix"), r.sayQuery("delimiter")
	a.maxKeys = r.sayPageSize("max-keys")
	if r.HasQuery("versionId") {
		a.version = saying(parseVersion(r.QueryValue("versionId")))
	}
	if r.HasHeader(copySourceHeader) {
		a.source = saying(parseCopySource(r.Header(copySourceHeader)))
	}
	a.replaceMeta = r.sayDirective("X-Amz-Metadata-Directive", "Unknown metadata directive.")
	a.replaceTags = r.sayDirective("X-Amz-Tagging-Directive", "Unknown tagging directive.")
	if r.HasHeader(taggingHeader) {
		a.tags = saying(parseTagHeader(r.Header(taggingHeader)))
	}
	if r.Op.Name == "CopyObject" && !a.replaceTags.value {
		a.tags = said[[]engine.Pair]{err: a.tags.err} // the copy keeps its source's tags
	}
	r.sayLock(a)
	a.canned = r.sayHeader("X-Amz-Acl")
	a.grants = r.sayGrants()
	a.class, a.redirect = r.sayHeader("X-Amz-Storage-Class"), r.sayHeader("X-Amz-Website-Redirect-Location")
	a.encryption, a.kmsKey = r.sayHeader(encryptionHeader), r.sayHeader(kmsKeyHeader)
	a.algorithm = r.sayHeader(customerPrefix + "Algorithm")
	a.match, a.none = r.sayHeader("If-Match"), r.sayHeader("If-None-Match")
	if writes := r.Op.Method != "GET" && r.Op.Method != "HEAD"; writes && strings.Trim(a.none.value, `"`) == "*" {
		a.none.value = "*" // some clients quote the star
	}
	if r.HasHeader(ownershipHeader) {
		a.ownership = saying(parseOwnershipHeader(r.Header(ownershipHeader)))
	}
	if r.Op.Name == "UntagResource" {
		a.untag = r.sayTagKeys()
	}
	// The document fills these keys when it is read.
	if r.Op.Document != nil {
		r.open = r.Op.Document.keys
	}
}

// sayHeader reads a header that needs no parsing.
func (r *Request) sayHeader(name string) said[string] {
	return said[string]{given: r.HasHeader(name), value: r.Header(name)}
}

// sayQuery reads a query parameter that needs no parsing.
func (r *Request) sayQuery(name string) said[string] {
	return said[string]{given: r.HasQuery(name), value: r.QueryValue(name)}
}
