package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Scope is the kind of resource that a request's path names.
type Scope int

const (
	Service      Scope = iota // /
	BucketScope               // /bucket
	ObjectScope               // /bucket/key
	ControlScope              // /v20180820/…, of S3 Control
)

func (s Scope) String() string { return [...]string{"service", "bucket", "object", "S3 Control"}[s] }

// BodyKind tells how a request's body is prepared for the handler.
type BodyKind int

const (
	NoBody   BodyKind = iota // must be empty, or is ignored unread
	XMLBody                  // read whole, up to MaxBody, into Request.XML
	DataBody                 // handed on as Request.Body
	FormBody                 // a form, which carries the signature; its file is Request.Body
)

// Handler carries out an operation.
type Handler func(*Server, *Request) (*Reply, error)

// Operation is one row of the S3 API. A row without a handler answers 501. It
// exists so that its requests cannot match another row: without it PUT ?acl
// would overwrite the object.
type Operation struct {
	Name   string // as AWS names it
	Method string
	Scope  Scope
	// Path follows controlPath in a row of S3 Control; see meansPath.
	Path string
	// Query lists parameters that must be present: "name", or "name=value".
	Query []string
	// Accept lists selecting parameters that may be present besides Query. Any
	// other selecting parameter makes the request match no row.
	Accept []string
	// Header must be present, unless it is empty.
	Header string
	// Needs returns the actions that must be allowed. It is called after the
	// bucket was resolved.
	Needs func(*Request) ([]access.Need, error)
	Body  BodyKind
	// MaxBody is in bytes: the limit of an XMLBody, of a DataBody's decoded
	// length, or of a FormBody's file.
	MaxBody int64
	// Document reads the facts in an XMLBody that policies can test; nil: there
	// are none.
	Document *documentFacts
	// ObjectChecksum: x-amz-checksum-* headers describe the object, not the XML
	// body that they come with.
	ObjectChecksum bool
	// ByKey: where a policy or an ACL may tell keys apart, each key in the
	// document is decided by itself. Needs is for buckets where none does.
	ByKey bool
	// Elsewhere: the document names another bucket, whose policy takes part.
	Elsewhere bool
	// CreatesBucket: the target's bucket does not exist yet.
	CreatesBucket bool
	// ReadsObject: the version that the request names is looked up together
	// with the bucket.
	ReadsObject bool
	// WritesObject: the lookup of the bucket also finds out whether the key is
	// vacant.
	WritesObject bool
	// Turn classifies requests that cost the store much. A tenant's take turns.
	Turn turnKind
	// Preflight: browsers ask, unsigned, with the query of the request that is
	// to follow. The answer depends on the bucket's CORS rules and on nothing
	// else.
	Preflight bool
	Handle    Handler
	// Note qualifies the row in docs/s3-coverage.md.
	Note string
}

// Operations holds all rows, including the AWS operations that the gateway does
// not implement. Source of names, methods and parameters:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
var Operations = slices.Concat(serviceOperations, bucketOperations, objectOperations, controlOperations)

// ignoredQuery is sent by SDKs to name the operation. It decides nothing,
// because the rest of the request may mean another operation.
const ignoredQuery = "x-id"

// refining parameters distinguish rows of one sub-resource and mean nothing
// without it. Elsewhere they are ignored like any unknown parameter.
var refining = map[string]bool{"id": true, "list-type": true, "annotationName": true, ignoredQuery: true}

// selecting holds the parameters that choose an operation. A request with such
// a parameter matches only rows that demand or accept it.
var selecting = func() map[string]bool {
	m := map[string]bool{"versionId": true}
	for _, op := range Operations {
		for _, q := range op.Query {
			if name, _, _ := strings.Cut(q, "="); !refining[name] {
				m[name] = true
			}
		}
	}
	return m
}()

// Resolve finds the operation that a request means: of the rows whose method,
// scope, query and header it satisfies, the row that demands most.
func Resolve(method string, scope Scope, q sigv4.Query, h http.Header) (*Operation, error) {
	var best *Operation
	for i := range Operations {
		op := &Operations[i]
		if op.Method == method && op.Scope == scope && op.matches(q, h) && (best == nil || op.weight() > best.weight()) {
			best = op
		}
	}
	if best == nil {
		return nil, explainUnresolved(method, scope, q)
	}
	return best, nil
}

// matches reports whether the request has all that the row demands and no
// selecting parameter beside it.
func (op *Operation) matches(q sigv4.Query, h http.Header) bool {
	for _, want := range op.Query {
		name, value, exact := strings.Cut(want, "=")
		got, ok := q.Get(name)
		if !ok || exact && got != value {
			return false
		}
	}
	if op.Header != "" && len(h.Values(op.Header)) == 0 {
		return false
	}
	// A preflight carries the query of the request that will follow.
	if op.Preflight {
		return true
	}
	for _, p := range q {
		if selecting[p.Name] && !slices.Contains(op.Query, p.Name) && !slices.Contains(op.Accept, p.Name) {
			return false
		}
	}
	return true
}

// weight counts the demands of the row. TestEachRowResolvesToItself shows that
// they suffice to choose one row.
func (op *Operation) weight() int {
	n := len(op.Query)
	if op.Header != "" {
		n++
	}
	return n
}

// explainUnresolved says why no row matches: parameters exclude each other, one
// lacks its companion, or the resource does not have the method.
func explainUnresolved(method string, scope Scope, q sigv4.Query) error {
	var names []string
	for _, p := range q {
		if selecting[p.Name] && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	known := func(name string) bool {
		return slices.ContainsFunc(Operations, func(op Operation) bool {
			return op.Method == method && op.Scope == scope && (slices.Contains(op.Query, name) || slices.Contains(op.Accept, name))
		})
	}
	some := slices.ContainsFunc(names, known)
	if len(names) == 1 && scope == ObjectScope {
		if err := explainLone(method, q, names[0], some); err != nil {
			return err
		}
	}
	switch {
	case !some:
		resource := strings.ToUpper(scope.String())
		if method == http.MethodPost && scope == ObjectScope {
			// Forms are posted to buckets; S3 speaks of the service here.
			resource = "SERVICE"
		}
		return methodNotAllowed(method, resource)
	case len(names) == 1:
		return s3err.New(s3err.InvalidArgument, "The query parameter %s requires another parameter that is missing.", names[0]).
			With("ArgumentName", names[0]).With("ArgumentValue", names[0])
	}
	return s3err.New(s3err.InvalidArgument, "Conflicting query string parameters: %s", strings.Join(names, ", ")).With("ArgumentName", "ResourceType")
}

// explainLone returns S3's own words for a key's only selecting parameter, or
// nil where S3 has none. known: the method has rows with the parameter.
func explainLone(method string, q sigv4.Query, name string, known bool) error {
	value, _ := q.Get(name)
	switch {
	case name == "versionId" && !known:
		return s3err.New(s3err.InvalidArgument, "This operation does not accept a version-id.").With("ArgumentName", "versionId").With("ArgumentValue", value)
	case name == "versions":
		return s3err.New(s3err.InvalidRequest, "There is no such thing as the ?versions sub-resource for a key")
	case name == "uploads" && method == http.MethodGet:
		return s3err.New(s3err.InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case name == "uploadId" && method == http.MethodPut:
		return methodNotAllowed(method, "UPLOAD")
	case name == "partNumber" && method == http.MethodPut:
		return s3err.New(s3err.InvalidArgument, "This operation does not accept partNumber without uploadId").
			With("ArgumentName", name).With("ArgumentValue", name)
	}
	return nil
}

// methodNotAllowed refuses a method that the resource does not have.
func methodNotAllowed(method, resource string) error {
	return s3err.New(s3err.MethodNotAllowed, "").With("Method", method).With("ResourceType", resource)
}

// checkCopyHeader refuses a copy source on a request that cannot copy. Ignoring
// it would let the client think that it copied.
func checkCopyHeader(method string, h http.Header) error {
	source := h.Values(copySourceHeader)
	if len(source) == 0 || method == http.MethodPut || method == http.MethodOptions {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "You can only specify a copy source header for copy requests.").
		With("ArgumentName", "x-amz-copy-source").With("ArgumentValue", strings.Join(source, ","))
}

// needs requires one action on the request's own target.
func needs(action string) func(*Request) ([]access.Need, error) {
	return func(r *Request) ([]access.Need, error) { return []access.Need{r.need(action)}, nil }
}
