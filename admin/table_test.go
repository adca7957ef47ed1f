package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// hold compares an answer with the table's row of its call. So every test that
// sends a request tests the table.
func hold(t *testing.T, r *http.Request, a answer) {
	t.Helper()
	row := admin.RowOf(r.Method, r.URL)
	if a.status >= 300 {
		code := s3err.Code(a.code(t))
		known := admin.Everywhere()
		if row != nil {
			known = append(known, row.Codes...)
		}
		if !slices.Contains(known, code) || a.status != code.Status() {
			t.Errorf("%s %s: %d %s, which the table does not have", r.Method, r.URL.Path, a.status, code)
		}
		return
	}
	if row == nil || a.status != row.Status {
		t.Errorf("%s %s: %d, and the table says %+v", r.Method, r.URL.Path, a.status, row)
		return
	}
	if row.Answers == nil {
		if a.body != "" {
			t.Errorf("%s %s: %q, and the table says nothing", r.Method, r.URL.Path, a.body)
		}
		return
	}
	d := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	d.DisallowUnknownFields()
	if err := d.Decode(reflect.New(reflect.TypeOf(row.Answers)).Interface()); err != nil {
		t.Errorf("%s %s: %q is no %T: %v", r.Method, r.URL.Path, a.body, row.Answers, err)
	}
}

// startBesideAbsent starts a gateway with a second backend that another gateway
// has used and that this one cannot reach.
func startBesideAbsent(t *testing.T, absent string, keys encrypt.Provider) *server {
	t.Helper()
	local, other := mem.New(), mem.New()
	first := gatewaytest.Start(t, gatewaytest.Options{Several: true, Keys: keys, Default: "local", Backends: []blobs.Backend{
		{Name: "local", Backend: local}, {Name: absent, Backend: other}}})
	silent := faults.NewPlan(1, faults.Rule{Err: backends.ErrUnavailable})
	s := startWith(t, gatewaytest.Options{Several: true, Store: first.Store, Keys: first.Keys, Default: "local", Backends: []blobs.Backend{
		{Name: "local", Backend: local}, {Name: absent, Backend: faults.Backend(other, silent)}}})
	s.Root = first.Root // the first start created it
	return s
}

// Each error in a route's row is the answer to some request.
func TestEveryErrorOfTheTable(t *testing.T) {
	keys := keytest.NewFake("fake")
	s := startBesideAbsent(t, "gone", keys)
	alice := s.User(t, "alice")
	if _, err := s.Engine.Buckets().Create(t.Context(), "records", "", alice.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	decode(t, s.call(t, "POST", "/v1/tenants/alice/users", `{"name":"carol","access_key":"carol-key"}`), 201, nil)

	met := map[string]map[s3err.Code]bool{}
	try := func(code s3err.Code, method, target, body string) {
		t.Helper()
		r := s.request(t, method, target, body)
		row := admin.RowOf(method, r.URL)
		if a := s.call(t, method, target, body); row == nil || s3err.Code(a.code(t)) != code {
			t.Errorf("%s %s %s: %d %s, want %s", method, target, body, a.status, a.body, code)
			return
		}
		if met[row.Name] == nil {
			met[row.Name] = map[s3err.Code]bool{}
		}
		met[row.Name][code] = true
	}
	long := `{"name":"dora","policy":"` + strings.Repeat("{", access.MaxIdentityPolicyBytes+1) + `"}`
	for _, c := range []struct {
		code                 s3err.Code
		method, target, body string
	}{
		{s3err.InvalidArgument, "POST", "/v1/tenants", `{"name":"a b"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants", `{"name":"alice"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants", `{"name":"dora","access_key":"carol-key"}`},
		{s3err.InvalidArgument, "GET", "/v1/tenants?limit=0", ""},
		{s3err.NoSuchEntity, "GET", "/v1/tenants/nobody", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/tenants/nobody", ""},
		{s3err.InvalidArgument, "DELETE", "/v1/tenants/root", ""},
		{s3err.DeleteConflict, "DELETE", "/v1/tenants/alice", ""},
		{s3err.NoSuchEntity, "PUT", "/v1/tenants/nobody/residency", `{"residency":""}`},
		{s3err.InvalidArgument, "PUT", "/v1/tenants/alice/residency", `{"residency":"atlantis"}`},
		{s3err.NoSuchEntity, "POST", "/v1/tenants/nobody/access-keys", `{}`},
		{s3err.InvalidArgument, "POST", "/v1/tenants/alice/access-keys", `{"access_key":"a/b"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants/alice/access-keys", `{"access_key":"carol-key"}`},
		{s3err.NoSuchEntity, "GET", "/v1/tenants/nobody/access-keys", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/access-keys/nothing", ""},
		{s3err.NoSuchEntity, "POST", "/v1/tenants/nobody/users", `{"name":"dora"}`},
		{s3err.InvalidArgument, "POST", "/v1/tenants/alice/users", `{"name":"dora","secret_key":"short"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants/alice/users", `{"name":"dora","access_key":"carol-key"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants/alice/users", `{"name":"Carol"}`},
		{s3err.ValidationError, "POST", "/v1/tenants/alice/users", `{"name":"a/b"}`},
		{s3err.MalformedPolicyDocument, "POST", "/v1/tenants/alice/users", `{"name":"dora","policy":"{}"}`},
		{s3err.LimitExceeded, "POST", "/v1/tenants/alice/users", long},
		{s3err.NoSuchEntity, "GET", "/v1/tenants/nobody/users", ""},
		{s3err.InvalidArgument, "GET", "/v1/tenants/alice/users?limit=1001", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/tenants/alice/users/nobody", ""},
		{s3err.NoSuchEntity, "POST", "/v1/tenants/alice/users/nobody/access-keys", `{}`},
		{s3err.InvalidArgument, "POST", "/v1/tenants/alice/users/carol/access-keys", `{"access_key":"x"}`},
		{s3err.EntityAlreadyExists, "POST", "/v1/tenants/alice/users/carol/access-keys", `{"access_key":"carol-key"}`},
		{s3err.NoSuchEntity, "GET", "/v1/tenants/alice/users/nobody/access-keys", ""},
		{s3err.InvalidArgument, "GET", "/v1/buckets?limit=x", ""},
		{s3err.NoSuchBucket, "GET", "/v1/buckets/nothing", ""},
		{s3err.NoSuchBucket, "PATCH", "/v1/buckets/nothing", `{"padding":"padme"}`},
		{s3err.InvalidArgument, "PATCH", "/v1/buckets/records", `{"padding":"some"}`},
		{s3err.NoSuchEntity, "GET", "/v1/backends/nothing/stored", ""},
		{s3err.InvalidArgument, "GET", "/v1/backends/local/stored?after=x", ""},
		{s3err.ServiceUnavailable, "GET", "/v1/backends/gone/stored", ""},
		{s3err.NoSuchEntity, "POST", "/v1/backends/nothing/drain", `{"target":"local"}`},
		{s3err.InvalidArgument, "POST", "/v1/backends/local/drain", `{"target":"local"}`},
		{s3err.ServiceUnavailable, "POST", "/v1/backends/local/drain", `{"target":"gone"}`},
		{s3err.NoSuchEntity, "DELETE", "/v1/backends/nothing/drain", ""},
		{s3err.InvalidArgument, "DELETE", "/v1/backends/local/drain", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/backends/nothing/doubtful", ""},
		{s3err.InvalidArgument, "GET", "/v1/keys?after=x", ""},
		{s3err.NoSuchEntity, "GET", "/v1/keys/rewrap", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/keys/rewrap", ""},
		{s3err.NoSuchEntity, "GET", "/v1/keys/rotation", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/keys/rotation", ""},
		{s3err.NoSuchBucket, "GET", "/v1/buckets/nothing/keys", ""},
		{s3err.NoSuchBucket, "POST", "/v1/buckets/nothing/keys", ""},
		{s3err.NoSuchBucket, "DELETE", "/v1/buckets/nothing/keys/1", ""},
		{s3err.NoSuchEntity, "DELETE", "/v1/buckets/records/keys/7", ""},
		{s3err.InvalidArgument, "DELETE", "/v1/buckets/records/keys/first", ""},
		{s3err.InvalidRequest, "DELETE", "/v1/buckets/records/keys/1", ""},
	} {
		try(c.code, c.method, c.target, c.body)
	}
	for fault, code := range map[keytest.Fault]s3err.Code{
		keytest.Down: s3err.ServiceUnavailable, keytest.Disabled: s3err.KMSDisabled, keytest.Deleted: s3err.KMSNotFound,
	} {
		keys.Set(fault)
		try(code, "POST", "/v1/keys/rewrap", "")
		try(code, "POST", "/v1/buckets/records/keys", "")
	}
	keys.Set(keytest.Works)
	decode(t, s.call(t, "POST", "/v1/keys/rewrap", ""), 204, nil)
	try(s3err.EntityAlreadyExists, "POST", "/v1/keys/rewrap", "")
	for range meta.MaxGenerations - 1 {
		decode(t, s.call(t, "POST", "/v1/buckets/records/keys", ""), 200, nil)
		decode(t, s.call(t, "DELETE", "/v1/keys/rotation", ""), 204, nil)
	}
	try(s3err.InvalidRequest, "POST", "/v1/buckets/records/keys", "")
	decode(t, s.call(t, "POST", "/v1/keys/rotation", `{"all":false}`), 204, nil)
	try(s3err.EntityAlreadyExists, "POST", "/v1/keys/rotation", `{"all":true}`)
	try(s3err.EntityAlreadyExists, "POST", "/v1/buckets/records/keys", "")
	for _, of := range []struct {
		there, absent string
		code          s3err.Code
	}{
		{"tenants/alice", "tenants/nobody", s3err.NoSuchEntity},
		{"tenants/alice/users/carol", "tenants/alice/users/nobody", s3err.NoSuchEntity},
		{"buckets/records", "buckets/nothing", s3err.NoSuchBucket},
	} {
		try(of.code, "GET", "/v1/"+of.absent+"/limits", "")
		for _, method := range []string{"PUT", "PATCH"} {
			try(of.code, method, "/v1/"+of.absent+"/limits", `{}`)
			try(s3err.InvalidArgument, method, "/v1/"+of.there+"/limits", `{"requests":-1}`)
		}
	}
	for of, most := range map[string]int{"/v1/tenants/alice": 10, "/v1/tenants/alice/users/carol": 2} { // as in the table
		for have := 1; have < most; have++ {
			decode(t, s.call(t, "POST", of+"/access-keys", `{}`), 201, nil)
		}
		try(s3err.LimitExceeded, "POST", of+"/access-keys", `{}`)
	}
	const revocations, restore = "/v1/keys/revocations", "/v1/keys/revocations/restore"
	try(s3err.NoSuchBucket, "POST", revocations, `{"bucket":"nothing"}`)
	try(s3err.InvalidArgument, "POST", revocations, `{"bucket":"records","all":true}`)
	try(s3err.InvalidArgument, "POST", revocations, `{"provider":"nothing"}`)
	try(s3err.InvalidArgument, "POST", restore, `{}`)
	try(s3err.NoSuchEntity, "POST", restore, `{"bucket":"records"}`)
	decode(t, s.call(t, "POST", revocations, `{"bucket":"records"}`), 204, nil)
	try(s3err.EntityAlreadyExists, "POST", revocations, `{"bucket":"records"}`)
	for n := 1; n < engine.MaxRevocations; n++ {
		if err := s.Engine.Revocations().Revoke(t.Context(), engine.Revoked{Bucket: meta.NewID(), Name: strconv.Itoa(n)}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	try(s3err.LimitExceeded, "POST", revocations, `{"all":true}`)
	list, err := s.Store.Job(t.Context(), "revocations")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.SetJob(t.Context(), "revocations", list, nil); err != nil {
		t.Fatal(err)
	}
	try(s3err.InvalidRequest, "POST", revocations, `{"bucket":"records"}`)
	try(s3err.InvalidRequest, "POST", restore, `{"bucket":"records"}`)

	for _, row := range admin.Rows() {
		for _, code := range row.Codes {
			if !met[row.Name][code] {
				t.Errorf("%s: no request here gets %s, but %v", row.Name, code, slices.Collect(maps.Keys(met[row.Name])))
			}
		}
	}
}

// Each error of any call that a client can cause is the answer to some request.
func TestEveryErrorOfAnyCall(t *testing.T) {
	s := start(t)
	temporary, err := s.Engine.Accounts().NewSession(accounts.Session{Tenant: s.Root.Tenant.ID, Holder: s.Root.Tenant.ID, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method, target, body string) *http.Request {
		r := s.request(t, method, target, body)
		s.sign(t, r, s.Root, admin.Service, sigv4.PayloadHash([]byte(body)))
		return r
	}
	with := func(name, value string) *http.Request {
		r := signed("GET", "/v1/tenants", "")
		r.Header.Set(name, value)
		return r
	}
	unknown := accounts.Credential{AccessKey: "unknown-key", SecretKey: "unknown-secret"}
	byOther := s.request(t, "GET", "/v1/tenants", "")
	s.sign(t, byOther, unknown, admin.Service, sigv4.PayloadHash(nil))
	forS3 := s.request(t, "GET", "/v1/tenants", "")
	s.sign(t, forS3, s.Root, "s3", sigv4.PayloadHash(nil))
	old := s.request(t, "GET", "/v1/tenants", "")
	if err := sigv4.Sign(old, s.Root.AccessKey, s.Root.SecretKey, s.Region, admin.Service, sigv4.PayloadHash(nil), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	session := s.request(t, "GET", "/v1/tenants", "")
	session.Header.Set("X-Amz-Security-Token", temporary.Token)
	s.sign(t, session, temporary, admin.Service, sigv4.PayloadHash(nil))
	other := signed("POST", "/v1/tenants", `{"name":"bob"}`)
	other.Body = io.NopCloser(strings.NewReader(`{"name":"eve"}`))

	met := map[s3err.Code]bool{}
	for _, c := range []struct {
		code s3err.Code
		r    *http.Request
	}{
		{s3err.AccessDenied, s.request(t, "GET", "/v1/tenants", "")},
		{s3err.InvalidAccessKeyID, byOther},
		{s3err.SignatureDoesNotMatch, with("X-Amz-Date", time.Now().Add(time.Second).UTC().Format("20060102T150405Z"))},
		{s3err.AuthorizationHeaderMalformed, forS3},
		{s3err.AuthorizationQueryParametersError, s.request(t, "GET", "/v1/tenants?X-Amz-Algorithm=AWS4-HMAC-SHA256", "")},
		{s3err.RequestTimeTooSkewed, old},
		{s3err.InvalidToken, session},
		{s3err.ContentSHA256Mismatch, other},
		{s3err.InvalidRequest, signed("GET", "/v1/tenants", "{}")},
		{s3err.InvalidRequest, signed("POST", "/v1/tenants", `{"name":"bob","name":"eve"}`)},
		{s3err.InvalidArgument, signed("GET", "/v1/backends?limit=1", "")},
		{s3err.InvalidArgument, with("X-Amz-Content-Sha256", "none")},
		{s3err.MaxMessageLengthExceeded, signed("POST", "/v1/tenants", strings.Repeat(" ", admin.MaxBody+1))},
		{s3err.InvalidURI, s.request(t, "GET", "/v1/tenants?after=%zz", "")},
		{s3err.URITooLong, s.request(t, "GET", "/v1/tenants?after="+strings.Repeat("a", sigv4.MaxQueryBytes), "")},
		{s3err.NoSuchEntity, signed("GET", "/v2/tenants", "")},
		{s3err.MethodNotAllowed, signed("PUT", "/v1/tenants", "")},
	} {
		if a := send(t, c.r); s3err.Code(a.code(t)) != c.code {
			t.Errorf("%s %.60s: %d %s, want %s", c.r.Method, c.r.URL, a.status, a.body, string(c.code))
		}
		met[c.code] = true
	}
	// A body that ends early leaves nobody to answer; the others come from the
	// store.
	others := []s3err.Code{s3err.IncompleteBody, s3err.ConcurrentModification, s3err.OperationAborted,
		s3err.InsufficientStorage, s3err.ServiceUnavailable, s3err.InternalError}
	for _, code := range admin.Everywhere() {
		if met[code] == slices.Contains(others, code) {
			t.Errorf("%s: met here %v, and left to others %v", string(code), met[code], slices.Contains(others, code))
		}
	}
}
