package edits

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

// Now is what every clock of a scene shows.
var Now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// Gateway is one in this process, without a network.
type Gateway struct {
	Engine      *engine.Engine
	Lifecycles  *lifecycle.Steps
	Inventories *inventory.Steps
	Resealing   *reseal.Steps
	api         *api.Server
}

// Open begins a gateway over the parts of a configuration, at the time Now unless that
// has a clock of its own.
func Open(ctx context.Context, c engine.Config) (*Gateway, error) {
	if c.Now == nil {
		c.Now = func() time.Time { return Now }
	}
	c.TransitionClasses = lifecycle.TransitionClasses
	e, err := engine.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	s := api.New(api.Config{Engine: e, IAM: &iam.Handler{Accounts: e.Accounts(), Now: c.Now}, Now: c.Now})
	return &Gateway{
		e, lifecycle.New(lifecycle.Config{Engine: e, Store: c.Store, Now: c.Now, Tell: s.LogLifecycle}),
		inventory.New(inventory.Config{Engine: e, Store: c.Store, Now: c.Now, Permit: s.PermitInventory}), reseal.New(reseal.Config{Engine: e}), s,
	}, nil
}

// The sender of a request. The zero value is nobody.
type Who struct{ AccessKey, SecretKey string }

// Question is one request that changes nothing in an honest store.
type Question struct {
	Who     string
	Method  string
	Target  string
	Headers []string // name, value, …
	// List: the answer is a list, which is shorter when something is not there.
	List bool
}

func (q Question) String() string { return q.Who + " " + q.Method + " " + q.Target }

// Answer is what a client sees.
type Answer struct {
	Status int
	Text   string // the header and the body, but for what differs from request to request
	Broken bool   // the connection ended early
}

var passing = regexp.MustCompile(`<(RequestId|HostId)>[^<]*</(RequestId|HostId)>`)

// Ask sends a request.
func (g *Gateway) Ask(who Who, method, target string, body []byte, headers ...string) (a Answer, h http.Header) {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.TLS = &tls.ConnectionState{}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if who.AccessKey != "" {
		if err := sigv4.Sign(r, who.AccessKey, who.SecretKey, api.DefaultRegion, "s3", sigv4.PayloadHash(body), Now); err != nil {
			return Answer{Status: -1, Text: err.Error()}, nil
		}
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil {
				a.Broken = true // http.ErrAbortHandler
			}
		}()
		g.api.ServeHTTP(w, r)
	}()
	a.Status = w.Code
	var lines []string
	for name, values := range w.Header() {
		if name != "Date" && !strings.HasPrefix(name, "X-Amz-Request-Id") && name != "X-Amz-Id-2" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	a.Text = strings.Join(lines, "\n") + "\n\n" + passing.ReplaceAllString(w.Body.String(), "")
	h = make(http.Header)
	for name, values := range w.Header() { // whatever the case
		h[http.CanonicalHeaderKey(name)] = values
	}
	return a, h
}

// Scene is a deployment in which each kind of row says something, and the questions
// whose answers tell.
type Scene struct {
	People    map[string]Who
	Questions []Question
}

// Answers are those of a gateway, in the order of the questions.
func (s *Scene) Answers(g *Gateway) []Answer {
	all := make([]Answer, len(s.Questions))
	for i, q := range s.Questions {
		all[i], _ = g.Ask(s.People[q.Who], q.Method, q.Target, nil, q.Headers...)
	}
	return all
}

// builder makes a scene.
type builder struct {
	g   *Gateway
	s   *Scene
	ctx context.Context
	err error
}

// Build makes everything of a scene; half is called when each row that is changed
// later is as it is at first.
func Build(ctx context.Context, g *Gateway, half func() error) (*Scene, error) {
	b := &builder{g: g, ctx: ctx, s: &Scene{People: map[string]Who{"nobody": {}}}}
	b.people()
	b.bucketsOf()
	if b.err == nil {
		b.err = half()
	}
	b.changes()
	b.questions()
	return b.s, b.err
}

func (b *builder) keep(err error) {
	if b.err == nil && err != nil {
		b.err = err
	}
}

// do sends a request that must succeed, and returns the answer's header.
func (b *builder) do(who, method, target string, body string, headers ...string) http.Header {
	if b.err != nil {
		return nil
	}
	sum := weakhash.MD5([]byte(body))
	headers = append(headers, "Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	a, h := b.g.Ask(b.s.People[who], method, target, []byte(body), headers...)
	if a.Status/100 != 2 {
		b.err = fmt.Errorf("%s %s %s: %d %s", who, method, target, a.Status, a.Text)
	}
	return h
}

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

func (b *builder) people() {
	e := b.g.Engine
	tenant := func(name string) meta.ID {
		c, err := e.Accounts().CreateTenant(b.ctx, name, name+"-key", strings.Repeat(name, 8)[:16], "")
		b.keep(err)
		b.s.People[name] = Who{c.AccessKey, c.SecretKey}
		return c.Tenant.ID
	}
	alice, bob := tenant("alice"), tenant("robert")
	identity := func(t meta.ID, i accounts.Identity) accounts.Identity {
		i.Tenant = t
		made, err := e.Accounts().CreateIdentity(b.ctx, i)
		b.keep(err)
		return made
	}
	policy := func(t meta.ID, name, text string) meta.ID {
		return identity(t, accounts.Identity{Kind: meta.IdentityPolicy, Name: name,
			Policy: &accounts.PolicyFacts{Versions: []accounts.PolicyVersion{{Number: 1, Document: text, Created: Now}}, Default: 1, Next: 2, Updated: Now}}).ID
	}
	all := policy(alice, "everything", allowAll)
	read := policy(alice, "reading", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}`)
	staff := identity(alice, accounts.Identity{Kind: meta.IdentityGroup, Name: "staff", Attached: []meta.ID{read}})
	user := func(t meta.ID, name string, i accounts.Identity) meta.ID {
		i.Kind, i.Name = meta.IdentityUser, name
		made := identity(t, i)
		c, err := e.Accounts().CreateAccessKey(b.ctx, meta.Tenant{ID: t}, made.ID, name+"-key", strings.Repeat(name, 8)[:16])
		b.keep(err)
		b.s.People[name] = Who{c.AccessKey, c.SecretKey}
		return made.ID
	}
	user(alice, "annika", accounts.Identity{Groups: []meta.ID{staff.ID}})
	user(alice, "newbie", accounts.Identity{})
	user(alice, "closed", accounts.Identity{Attached: []meta.ID{all}, Boundary: read})
	user(alice, "retired", accounts.Identity{Attached: []meta.ID{all}})
	user(bob, "robin", accounts.Identity{})
	identity(alice, accounts.Identity{Kind: meta.IdentityRole, Name: "helper", Attached: []meta.ID{read},
		Role: &accounts.RoleFacts{Trust: `{"Version":"2012-10-17","Statement":[]}`, MaxSession: time.Hour}})
	b.keep(e.Accounts().SetLimits(b.ctx, alice, meta.Limits{Bytes: 1 << 30}))
}

const (
	lockUntil = "2030-01-01T00:00:00Z"
	ssec      = "x-amz-server-side-encryption-customer-"
)

// customer are the headers of a client's own key.
func customer() []string {
	key := []byte(strings.Repeat("k", 32))
	sum := weakhash.MD5(key)
	return []string{ssec + "algorithm", "AES256", ssec + "key", base64.StdEncoding.EncodeToString(key), ssec + "key-MD5", base64.StdEncoding.EncodeToString(sum[:])}
}

func (b *builder) bucketsOf() {
	large := strings.Repeat("a large body. ", 6000)
	b.do("alice", "PUT", "/plain", "")
	b.do("alice", "PUT", "/kept", "", "x-amz-bucket-object-lock-enabled", "true")
	b.do("alice", "PUT", "/shared", "")
	b.do("robert", "PUT", "/roberts", "")
	b.do("alice", "PUT", "/plain/one", "the first", "x-amz-meta-a", "1", "x-amz-tagging", "team=blue", "Content-Type", "text/one")
	b.do("alice", "PUT", "/plain/two", large, "x-amz-meta-a", "2", "x-amz-tagging", "team=red", "x-amz-storage-class", "STANDARD_IA")
	b.do("alice", "PUT", "/plain/three", "the third one", customer()...)
	b.do("robert", "PUT", "/roberts/one", "of another tenant")
	b.do("alice", "PUT", "/shared/open", "for everybody")
	b.do("alice", "PUT", "/shared/secret", "for nobody else")
	for i := range 3 {
		h := b.do("alice", "PUT", "/kept/v", fmt.Sprint("version ", i))
		if h != nil {
			b.s.People[fmt.Sprint("version", i)] = Who{AccessKey: h.Get("x-amz-version-id")}
		}
	}
	b.do("alice", "PUT", "/kept/other", "of one version")
	b.do("alice", "PUT", "/kept/gone", "of a key that is deleted")
	b.multipart()
}

var uploadID = regexp.MustCompile(`<UploadId>([^<]*)<`)

// multipart makes a completed upload, a copy of it, and one that is open.
func (b *builder) multipart() {
	begin := func(key string) string {
		a, _ := b.g.Ask(b.s.People["alice"], "POST", "/plain/"+key+"?uploads", nil)
		id := uploadID.FindStringSubmatch(a.Text)
		if id == nil {
			b.keep(fmt.Errorf("begin an upload: %s", a.Text))
			return ""
		}
		return id[1]
	}
	part := func(key, id string, n int, body string) string {
		h := b.do("alice", "PUT", fmt.Sprintf("/plain/%s?partNumber=%d&uploadId=%s", key, n, id), body)
		return h.Get("ETag")
	}
	done := begin("multi")
	chosen := part("multi", done, 2, strings.Repeat("p", 70_000))
	part("multi", done, 5, "a part that is not chosen")
	b.do("alice", "POST", "/plain/multi?uploadId="+done, fmt.Sprintf(
		`<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`, chosen))
	b.s.People["done"] = Who{AccessKey: done}
	open := begin("open")
	part("open", open, 1, "a part")
	part("open", open, 3, "another part")
	b.s.People["open"] = Who{AccessKey: open}
}

// version is the id of one of /kept/v's.
func (b *builder) version(i int) string { return b.s.People[fmt.Sprint("version", i)].AccessKey }

// changes makes rows say something else than at first.
func (b *builder) changes() {
	e := b.g.Engine
	b.rotate("plain")
	b.rotate("kept")
	b.do("alice", "PUT", "/plain/two?tagging", `<Tagging><TagSet><Tag><Key>team</Key><Value>green</Value></Tag></TagSet></Tagging>`)
	b.do("alice", "PUT", "/plain/one", "the first, anew", "x-amz-meta-a", "11", "x-amz-tagging", "team=blue")
	b.do("alice", "PUT", "/plain?tagging", `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`)
	b.do("alice", "PUT", "/kept/v?retention&versionId="+b.version(0), `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>`+lockUntil+`</RetainUntilDate></Retention>`)
	b.do("alice", "PUT", "/kept/v?legal-hold&versionId="+b.version(1), `<LegalHold><Status>ON</Status></LegalHold>`)
	b.do("alice", "PUT", "/kept/v?tagging&versionId="+b.version(2), `<Tagging><TagSet><Tag><Key>team</Key><Value>gold</Value></Tag></TagSet></Tagging>`)
	b.do("alice", "DELETE", "/kept/gone", "")
	b.do("alice", "PUT", "/shared?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>`)
	b.do("alice", "PUT", "/shared?policy", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/secret"}]}`)
	b.do("alice", "PUT", "/shared?cors", `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://example.com</AllowedOrigin></CORSRule></CORSConfiguration>`)
	b.do("alice", "PUT", "/shared?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	b.do("alice", "PUT", "/shared?lifecycle", `<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>`)
	b.do("robert", "PUT", "/roberts?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	b.keep(e.Accounts().SetAccessKeyInactive(b.ctx, b.s.People["retired"].AccessKey, true))
	alice, err := e.Accounts().TenantByName(b.ctx, "alice")
	b.keep(err)
	b.keep(e.Accounts().SetLimits(b.ctx, alice.ID, meta.Limits{Bytes: 200_000}))
	_, err = e.Accounts().ChangeIdentity(b.ctx, alice.ID, meta.IdentityPolicy, "reading", func(i *accounts.Identity) error {
		i.Policy.Versions = append(i.Policy.Versions, accounts.PolicyVersion{Number: 2, Created: Now, Document: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::plain/two"}]}`})
		i.Policy.Default, i.Policy.Next = 2, 3
		return nil
	})
	b.keep(err)
}

// rotate gives a bucket a second generation of its keys.
func (b *builder) rotate(name string) {
	if b.err != nil {
		return
	}
	of, err := b.g.Engine.Buckets().Get(b.ctx, name)
	b.keep(err)
	_, err = b.g.Engine.Buckets().Rotate(b.ctx, of)
	b.keep(err)
}

func (b *builder) questions() {
	ask := func(who, method, target string, headers ...string) {
		b.s.Questions = append(b.s.Questions, Question{Who: who, Method: method, Target: target, Headers: headers})
	}
	list := func(who, target string) {
		b.s.Questions = append(b.s.Questions, Question{Who: who, Method: "GET", Target: target, List: true})
	}
	for _, who := range []string{"alice", "robert", "annika", "newbie", "closed", "retired", "robin", "nobody"} {
		list(who, "/")
		ask(who, "GET", "/plain/one")
		ask(who, "HEAD", "/plain/two")
		ask(who, "GET", "/shared/open")
		ask(who, "GET", "/shared/secret")
	}
	ask("alice", "GET", "/plain/two")
	ask("alice", "GET", "/plain/three", customer()...)
	ask("alice", "GET", "/plain/three")
	ask("alice", "HEAD", "/plain/multi")
	ask("alice", "GET", "/plain/multi", "Range", "bytes=69998-")
	ask("robert", "GET", "/roberts/one")
	ask("alice", "GET", "/roberts/one")
	ask("alice", "GET", "/kept/v")
	ask("alice", "GET", "/kept/gone")
	ask("alice", "GET", "/kept/other")
	for i := range 3 {
		at := "versionId=" + b.version(i)
		ask("alice", "GET", "/kept/v?"+at)
		ask("alice", "GET", "/kept/v?tagging&"+at)
	}
	ask("alice", "GET", "/kept/v?retention&versionId="+b.version(0))
	ask("alice", "GET", "/kept/v?legal-hold&versionId="+b.version(1))
	ask("alice", "DELETE", "/kept/v?versionId="+b.version(0)) // what is locked stays
	ask("alice", "DELETE", "/kept/v?versionId="+b.version(1))
	list("alice", "/kept?versions")
	list("alice", "/plain?list-type=2&fetch-owner=true")
	list("alice", "/shared?list-type=2&fetch-owner=true")
	list("alice", "/plain?uploads")
	list("alice", "/plain/open?uploadId="+b.s.People["open"].AccessKey)
	for _, target := range []string{"/plain/one?tagging", "/plain/two?tagging", "/plain/one?acl", "/plain/two?acl", "/plain?tagging", "/kept?object-lock", "/kept?versioning", "/shared?policy",
		"/shared?policyStatus", "/shared?cors", "/shared?versioning", "/shared?publicAccessBlock", "/shared?lifecycle", "/shared?acl", "/plain?versioning", "/roberts?policy"} {
		ask("alice", "GET", target)
	}
	ask("robert", "GET", "/roberts?versioning")
	ask("nobody", "OPTIONS", "/shared/open", "Origin", "https://example.com", "Access-Control-Request-Method", "GET")
	// Nothing is left in the quota for what is too large, whatever the rights.
	ask("alice", "PUT", "/plain/too-large", "x-amz-copy-source", "/plain/multi")
}
