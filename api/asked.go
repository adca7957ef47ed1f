package api

import (
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// said is one thing that a request may say. What was given and cannot be taken has no
// value: access is decided without it, and whoever acts on it gets the error.
type said[T any] struct {
	given bool
	value T
	err   error
}

// get is the value, or the zero value where nothing was given.
func (s said[T]) get() (T, error) { return s.value, s.err }

// known reports whether there is a value.
func (s said[T]) known() bool { return s.given && s.err == nil }

func saying[T any](value T, err error) said[T] { return said[T]{given: true, value: value, err: err} }

// asked is all that a request says of which a policy can speak: in its query, in its
// header, or in the form or URL that became its header, and in its document once that
// was read. Each thing is read once. The values of condition keys come from here
// (condition_keys.go), and so does what handlers act on: what is decided on is what is
// done. Names are S3's own: parameters are told by their case, headers are not.
type asked struct {
	prefix, delimiter said[string]
	maxKeys           said[int] // as asked for, not as it is cut
	version           said[meta.VersionRef]
	source            said[sourceName] // of a copy

	tags          said[[]engine.Pair] // to be set on an object
	bucketTags    said[[]engine.Pair] // to be set on a bucket
	untag         said[[]string]      // to be removed from a bucket
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
	inventory     said[*engine.Inventory]
	unkept        unkept // of the document
}

// Headers that more than one file speaks of.
const (
	taggingHeader   = "X-Amz-Tagging"
	ownershipHeader = "X-Amz-Object-Ownership"
	namespaceHeader = "X-Amz-Bucket-Namespace"
)

// readAsked reads what the query and the header say.
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
	a.replaceMeta = r.sayDirective("x-amz-metadata-directive", "Unknown metadata directive.")
	a.replaceTags = r.sayDirective("x-amz-tagging-directive", "Unknown tagging directive.")
	if r.HasHeader(taggingHeader) {
		a.tags = saying(parseTagHeader(r.Header(taggingHeader)))
	}
	if r.Op.Name == "CopyObject" && !a.replaceTags.value {
		a.tags = said[[]engine.Pair]{err: a.tags.err} // the copy keeps those of its source
	}
	r.sayLock(a)
	a.canned = r.sayHeader("X-Amz-Acl")
	a.grants = r.sayGrants()
	a.class, a.redirect = r.sayHeader("X-Amz-Storage-Class"), r.sayHeader("X-Amz-Website-Redirect-Location")
	a.encryption, a.kmsKey = r.sayHeader(encryptionHeader), r.sayHeader(kmsKeyHeader)
	a.algorithm = r.sayHeader(customerPrefix + "Algorithm")
	a.match, a.none = r.sayHeader("If-Match"), r.sayHeader("If-None-Match")
	if writes := r.Op.Method != "GET" && r.Op.Method != "HEAD"; writes && strings.Trim(a.none.value, `"`) == "*" {
		a.none.value = "*" // some clients quote it
	}
	if r.HasHeader(ownershipHeader) {
		a.ownership = saying(parseOwnershipHeader(r.Header(ownershipHeader)))
	}
	if r.Op.Name == "UntagResource" {
		a.untag = r.sayTagKeys()
	}
	if r.Op.Document != nil {
		r.open = r.Op.Document.keys
	}
}

func (r *Request) sayHeader(name string) said[string] {
	return said[string]{given: r.HasHeader(name), value: r.Header(name)}
}

func (r *Request) sayQuery(name string) said[string] {
	return said[string]{given: r.HasQuery(name), value: r.QueryValue(name)}
}
