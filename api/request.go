package api

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Request is one S3 request on its way through the gateway. When a handler gets
// it, it is authenticated and authorized, and its body is prepared.
type Request struct {
	HTTP      *http.Request
	ID        string // 16 uppercase hexadecimal digits
	Op        *Operation
	Target    Target
	Principal access.Principal
	// Bucket is the target's bucket, resolved for every operation of bucket and
	// object scope except CreateBucket.
	Bucket meta.Bucket
	// vacant: the key held no object when the bucket was looked up, for an
	// operation that WritesObject.
	vacant bool
	// Body is the body of a DataBody operation; nil for all others.
	Body *Body
	// form is the form of a FormBody operation, read up to its file; nil for all
	// others.
	form *form
	// XML is the whole body of an XMLBody operation. Its digests are checked.
	XML []byte
	// Now is the time at which the request arrived.
	Now time.Time

	server   *Server
	limits   meta.Limits         // of the user who signed
	identity *sigv4.Identity     // of the signature; of nobody for an anonymous request
	signer   accounts.Credential // that signed; zero for an anonymous request
	// unproven: no signature proves the sender. claimed is the access key that
	// the request names, if it names one of ours.
	unproven bool
	claimed  string
	// badPayload says why the body of a request without credentials is
	// unusable.
	badPayload error
	context    access.Context     // see conditions; nil until it was asked for
	evaluation *access.Evaluation // see decide; nil until the first need was decided
	facts      *access.Bucket     // see bucketFacts; of the bucket with the id factsOf
	factsOf    meta.ID
	settings   *buckets.Settings // of the same bucket; nil: they could not be read
	asked      asked
	open       map[string]bool      // condition keys whose values are in the document; nil once it was read
	object     object               // the target
	source     *object              // of a copy or rename; nil until it was resolved
	sealing    said[sealing]        // see encryption
	begun      said[*engine.Upload] // see underway
	// deletions records the result of each key that the body names, for the
	// server access log.
	deletions []loggedDeletion
}

// Body is the payload of an upload, decoded from aws-chunked and authenticated
// as its payload mode demands.
type Body struct {
	engine.Body // without the client's checksum, which engineBody adds
	// Announced are the names in x-amz-trailer, lowercase.
	Announced []string
	// Trailers returns the authenticated trailers. They are complete once
	// Reader returned io.EOF. Never nil.
	Trailers func() http.Header
}

// Reply is a handler's answer.
type Reply struct {
	Status int // 0: 200 OK
	Header http.Header
	// XML is a document: a struct with an XMLName whose tag is the element's
	// name, or a value with AppendXML. It gets the S3 namespace and the XML
	// header.
	XML any
	// Stream writes exactly Length bytes. An error aborts the connection,
	// because the header is out by then. An io.Closer is closed, even when it
	// was never written (HEAD).
	Stream io.WriterTo
	Length int64
}

// close discards a reply that is not sent.
func (reply *Reply) close() {
	if c, ok := reply.Stream.(io.Closer); ok {
		c.Close()
	}
}

// Context ends when the client is gone.
func (r *Request) Context() context.Context { return r.HTTP.Context() }

// Header returns the value of a request header, or "". Repeated x-amz-meta-*
// headers are joined by commas, as they are signed. Other headers that S3 knows
// have been refused if they were repeated.
func (r *Request) Header(name string) string {
	return strings.Join(r.headerValues(name), ",")
}

// HasHeader reports whether the header was sent, even empty.
func (r *Request) HasHeader(name string) bool { return len(r.headerValues(name)) > 0 }

// headerValues returns the values of a request header. A name that begins with a
// capital must be in canonical form, see http.CanonicalHeaderKey: most headers that a
// request is asked for are absent, and making each name canonical takes longer than
// looking it up.
func (r *Request) headerValues(name string) []string {
	if values, sent := r.HTTP.Header[name]; sent || 'A' <= name[0] && name[0] <= 'Z' {
		return values
	}
	return r.HTTP.Header.Values(name)
}

// QueryValue returns the value of a query parameter, or "". Parameters that S3
// knows have been refused if they were repeated.
func (r *Request) QueryValue(name string) string {
	v, _ := r.Target.Query.Get(name)
	return v
}

// HasQuery reports whether the query parameter was sent, even empty.
func (r *Request) HasQuery(name string) bool { return r.Target.Query.Has(name) }

// Owner is the tenant that owns whatever the request creates.
func (r *Request) Owner() meta.ID { return meta.ID(r.Principal.Tenant) }

// expectOwner enforces x-amz-expected-bucket-owner, or its x-amz-source- twin,
// for a bucket. The value is the owner's account number or canonical id; S3
// refuses anything else as no account id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (r *Request) expectOwner(header string, b meta.Bucket) error {
	if !r.HasHeader(header) {
		return nil
	}
	id := r.Header(header)
	if !accountNames.MatchString(id) {
		return s3err.New(s3err.InvalidBucketOwner, "The value of the expected bucket owner parameter must be an AWS Account ID... [%s]", id)
	}
	if id != accounts.Account(b.Owner) && id != b.Owner.Canonical() {
		return s3err.AccessDenied
	}
	return nil
}

// accountNames matches the names of accounts: twelve digits, or a canonical id.
var accountNames = regexp.MustCompile(`^([0-9]{12}|[0-9a-f]{64})$`)
