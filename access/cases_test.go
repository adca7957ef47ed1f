package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

const casesDir = "../testdata/policies"

// minCases is the least number of cases in the files together, so that a file
// that is not read any more is noticed.
const minCases = 300

// caseFile is one of the files of cases. testdata/policies/README.md explains
// its fields.
type caseFile struct {
	About      string
	Policies   map[string]json.RawMessage
	Cases      []decisionCase
	Conditions []conditionCase
	Resources  []resourceCase
	Documents  []documentCase
	Public     []publicCase
}

type decisionCase struct {
	Name     string
	Who      string
	Do       string
	On       string
	Resource string

	Owner     string // of the bucket, or of Resource
	Identity  []json.RawMessage
	Boundary  json.RawMessage
	Session   []json.RawMessage
	Policy    json.RawMessage
	Trust     json.RawMessage
	Ownership Ownership
	ACL       json.RawMessage
	Object    *struct {
		Owner string
		ACL   json.RawMessage
	}
	Block   []string
	Tags    map[string]string
	Context map[string]any

	Want    string // "allow", "deny" or "public"
	Because string // a part of the reason
}

// conditionCase is tried in a statement that allows and in one that denies.
type conditionCase struct {
	If      json.RawMessage
	Who     string
	Tags    map[string]string
	Context map[string]any
	Holds   bool
	Denies  *bool  // when a statement that denies decides differently
	Version string // empty: 2012-10-17
}

// resourceCase is one Resource of an identity policy, tried with one key.
type resourceCase struct {
	Resource string
	Key      string // of the bucket "photos"
	Do       string // empty: s3:GetObject
	Who      string
	Tags     map[string]string
	Version  string
	Matches  bool
}

type documentCase struct {
	Kind  string // "bucket" (named photos), "identity" or "trust"
	Doc   json.RawMessage
	Text  string // instead of Doc, for a text that is not JSON
	Error string // a part of the message; empty: accepted
}

type publicCase struct {
	Statement json.RawMessage
	Public    bool
}

func eachCaseFile(t testing.TB, f func(name string, c *caseFile)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(casesDir, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatal("no files of cases", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		c := &caseFile{}
		if err := d.Decode(c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f(filepath.Base(name), c)
	}
}

func TestCases(t *testing.T) {
	total := 0
	eachCaseFile(t, func(name string, f *caseFile) {
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			for i, c := range f.Cases {
				f.decision(t, i, c)
			}
			for i, c := range f.Conditions {
				tryCondition(t, i, c)
			}
			for i, c := range f.Resources {
				tryResource(t, i, c)
			}
			for i, c := range f.Documents {
				tryDocument(t, i, c)
			}
			for i, c := range f.Public {
				tryPublic(t, i, c)
			}
		})
		total += len(f.Cases) + len(f.Conditions) + len(f.Resources) + len(f.Documents) + len(f.Public)
	})
	t.Logf("%d cases", total)
	if total < minCases {
		t.Errorf("%d cases, want %d", total, minCases)
	}
}

// tenant returns the account of a digit: "1" is 111111111111.
func tenant(digit string) (ID, string) {
	if digit == "" {
		digit = "1"
	}
	var id ID
	for i := range id {
		id[i] = digit[0]
	}
	return id, strings.Repeat(digit, accountDigits)
}

// who parses "anonymous", "operator", "root:1", "user:1/path/name",
// "role:1/path/name/session" and "federated:name".
func who(t testing.TB, s string) *Principal {
	t.Helper()
	if s == "" || s == "anonymous" {
		return &Principal{}
	}
	if s == "operator" {
		id, account := tenant("9")
		return &Principal{Kind: Root, Tenant: id, ID: id, Account: account, Operator: true}
	}
	kind, rest, _ := strings.Cut(s, ":")
	if kind == "federated" {
		return &Principal{Kind: Federated, Name: rest}
	}
	digit, rest, _ := strings.Cut(rest, "/")
	p := &Principal{}
	p.Tenant, p.Account = tenant(digit)
	parts := strings.Split(rest, "/")
	switch kind {
	case "root":
		p.Kind, p.ID = Root, p.Tenant
		return p
	case "user":
		p.Kind, p.ID = User, ID{'u'}
	case "role":
		p.Kind, p.ID = Session, ID{'r'}
		p.SessionName = parts[len(parts)-1]
		parts = parts[:len(parts)-1]
	default:
		t.Fatalf("unknown principal %q", s)
	}
	p.Name = parts[len(parts)-1]
	if p.Path = "/" + strings.Join(parts[:len(parts)-1], "/"); p.Path != "/" {
		p.Path += "/"
	}
	return p
}

// document returns a policy by its name in the file, whole, or as its
// statements.
func (f *caseFile) document(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	raw = bytes.TrimSpace(raw)
	var name string
	if json.Unmarshal(raw, &name) == nil {
		if f.Policies[name] == nil {
			t.Fatalf("unknown policy %s", name)
		}
		return f.document(t, f.Policies[name])
	}
	var whole struct{ Statement json.RawMessage }
	if raw[0] == '{' && json.Unmarshal(raw, &whole) == nil && whole.Statement != nil {
		return raw
	}
	return []byte(`{"Version":"2012-10-17","Statement":` + string(raw) + `}`)
}

func (f *caseFile) identities(t testing.TB, raw []json.RawMessage) (all []*Policy) {
	t.Helper()
	for i, r := range raw {
		p, err := ParseIdentityPolicy(fmt.Sprintf("p%d", i+1), f.document(t, r))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// acl parses the name of a canned ACL, or a list such as ["2:READ",
// "AllUsers:READ"].
func acl(t testing.TB, raw json.RawMessage, owner, bucketOwner ID) *ACL {
	t.Helper()
	if raw == nil {
		return nil
	}
	var name string
	if json.Unmarshal(raw, &name) == nil {
		a, err := CannedACL(name, owner, bucketOwner)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var grants []string
	if err := json.Unmarshal(raw, &grants); err != nil {
		t.Fatal(err)
	}
	a := &ACL{Owner: owner}
	for _, g := range grants {
		to, permission, _ := strings.Cut(g, ":")
		grantee := Grantee{Group: map[string]string{"AllUsers": AllUsers, "AuthenticatedUsers": AuthenticatedUsers, "LogDelivery": LogDelivery}[to]}
		if grantee.Group == "" {
			grantee.ID, _ = tenant(to)
		}
		a.Grants = append(a.Grants, Grant{grantee, Permission(permission)})
	}
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	return a
}

func contextOf(values map[string]any) Context {
	c := Context{}
	for k, v := range values {
		k = normalKey(k)
		if familyOf(k) == k {
			c[k] = nil
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, item := range list {
			if familyOf(k) != k {
				c.AddTag(familyOf(k), k[len(familyOf(k)):], fmt.Sprint(item))
				continue
			}
			c[k] = append(c[k], fmt.Sprint(item))
		}
	}
	return c
}

// actionWith returns an action that has the keys of a condition and of a
// context.
func actionWith(t testing.TB, condition json.RawMessage, values map[string]any) string {
	t.Helper()
	var operators map[string]map[string]any
	if err := json.Unmarshal(condition, &operators); err != nil {
		t.Fatal(err)
	}
	keys := slices.Collect(maps.Keys(values))
	for _, on := range operators {
		keys = slices.AppendSeq(keys, maps.Keys(on))
	}
	for _, action := range []string{"s3:GetObject", "s3:ListBucket", "s3:PutObject"} {
		if !slices.ContainsFunc(keys, func(key string) bool {
			only := keyBits[familyOf(normalKey(key))]
			return only != nil && !only.has(actionIndex[action])
		}) {
			return action
		}
	}
	t.Fatalf("no action has all of %q", keys)
	return ""
}

// ask builds the question of a case for Decide.
func (f *caseFile) ask(t testing.TB, c *decisionCase) (*Principal, Context, Need) {
	t.Helper()
	p := who(t, c.Who)
	p.Tags = c.Tags
	p.Identity = f.identities(t, c.Identity)
	if c.Session != nil {
		p.Session = f.identities(t, c.Session)
		if len(p.Session) == 0 {
			p.Session = []*Policy{}
		}
	}
	if c.Boundary != nil {
		p.Boundary = f.identities(t, []json.RawMessage{c.Boundary})[0]
	}
	n := Need{Action: c.Do, Resource: c.Resource}
	if c.Resource != "" {
		if c.Owner != "" {
			n.Owner, _ = tenant(c.Owner)
		}
		if c.Trust != nil {
			trust, err := ParseTrustPolicy("t", f.document(t, c.Trust))
			if err != nil {
				t.Fatal(err)
			}
			n.Trust = trust
		}
	} else if c.On != "" {
		n.BucketName, n.Key, _ = strings.Cut(c.On, "/")
		if c.Do != CreateBucket {
			n.Bucket = f.bucket(t, c, n.BucketName)
		}
	}
	if c.Object != nil {
		owner, _ := tenant(c.Object.Owner)
		n.Object = &Object{Owner: owner, ACL: acl(t, c.Object.ACL, owner, n.Bucket.Owner)}
	}
	return p, contextOf(c.Context), n
}

func (f *caseFile) bucket(t testing.TB, c *decisionCase, name string) *Bucket {
	t.Helper()
	b := &Bucket{Name: name, Ownership: c.Ownership}
	b.Owner, b.Account = tenant(c.Owner)
	b.ACL = acl(t, c.ACL, b.Owner, ID{})
	if c.Policy != nil {
		var err error
		if b.Policy, err = ParseBucketPolicy(name, name, f.document(t, c.Policy)); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
	}
	for _, s := range c.Block {
		switch s {
		case "IgnorePublicAcls":
			b.Block.IgnorePublicACLs = true
		case "RestrictPublicBuckets":
			b.Block.RestrictPublicBuckets = true
		default:
			t.Fatalf("unknown block: %s", s)
		}
	}
	return b
}

func (f *caseFile) decision(t *testing.T, i int, c decisionCase) {
	t.Helper()
	p, ctx, n := f.ask(t, &c)
	d := again(t, p, ctx, n)
	got := "deny"
	if d.Allow {
		got = "allow"
	}
	if d.Public {
		got = "public"
	}
	if got != c.Want {
		t.Errorf("case %d, %s: %s (%s), want %s", i+1, c.Name, got, d.Reason, c.Want)
	}
	if c.Because == "" || !strings.Contains(d.Reason, c.Because) {
		t.Errorf("case %d, %s: because %q, want %q", i+1, c.Name, d.Reason, c.Because)
	}
}

// tryCondition tries the condition in a statement that allows everybody and,
// for a principal who is allowed otherwise, in one that denies.
func tryCondition(t *testing.T, i int, c conditionCase) {
	t.Helper()
	version := c.Version
	if version == "" {
		version = version2012
	}
	for effect, want := range map[string]bool{"Allow": c.Holds, "Deny": c.Holds} {
		if effect == "Deny" && c.Denies != nil {
			want = *c.Denies
		}
		doc := fmt.Sprintf(`{"Version":%q,"Statement":[{"Effect":%q,"Action":"*","Resource":"*","Condition":%s}]}`, version, effect, c.If)
		p := who(t, c.Who)
		if p.Kind == Nobody {
			p = who(t, "user:1/alice")
		}
		p.Tags = c.Tags
		policy, err := ParseIdentityPolicy("condition", []byte(doc))
		if err != nil {
			t.Errorf("condition %d: %s: %v", i+1, c.If, err)
			return
		}
		p.Identity = []*Policy{policy}
		if effect == "Deny" {
			p.Identity = append(p.Identity, (&caseFile{}).identities(t, []json.RawMessage{[]byte(`[{"Effect":"Allow","Action":"*","Resource":"*"}]`)})...)
		}
		owner, account := p.Tenant, p.Account
		d := again(t, p, contextOf(c.Context), Need{Action: actionWith(t, c.If, c.Context), Bucket: &Bucket{Name: "b", Owner: owner, Account: account}, Key: "k"})
		if held := d.Allow == (effect == "Allow"); held != want {
			t.Errorf("condition %d: %s %s with %v: %v (%s), want %v", i+1, effect, c.If, c.Context, held, d.Reason, want)
		}
	}
}

func tryResource(t *testing.T, i int, c resourceCase) {
	t.Helper()
	version := c.Version
	if version == "" {
		version = version2012
	}
	p := who(t, c.Who)
	if p.Kind == Nobody {
		p = who(t, "user:1/alice")
	}
	p.Tags = c.Tags
	policy, err := ParseIdentityPolicy("resource",
		fmt.Appendf(nil, `{"Version":%q,"Statement":{"Effect":"Allow","Action":"s3:*","Resource":%q}}`, version, c.Resource))
	if err != nil {
		t.Errorf("resource %d: %v", i+1, err)
		return
	}
	p.Identity = []*Policy{policy}
	do := c.Do
	if do == "" {
		do = "s3:GetObject"
	}
	d := again(t, p, nil, Need{Action: do, Bucket: &Bucket{Name: "photos", Owner: p.Tenant}, Key: c.Key})
	if d.Allow != c.Matches {
		t.Errorf("resource %d: %s, %s on %q: %v (%s)", i+1, c.Resource, do, c.Key, d.Allow, d.Reason)
	}
}

func parseKind(kind string, doc []byte) (*Policy, error) {
	switch kind {
	case "bucket":
		return ParseBucketPolicy("photos", "photos", doc)
	case "identity":
		return ParseIdentityPolicy("p", doc)
	case "trust":
		return ParseTrustPolicy("t", doc)
	}
	panic(kind)
}

func tryDocument(t *testing.T, i int, c documentCase) {
	t.Helper()
	doc := []byte(c.Doc)
	if c.Doc == nil {
		doc = []byte(c.Text)
	}
	_, err := parseKind(c.Kind, doc)
	if c.Error == "" {
		if err != nil {
			t.Errorf("document %d: %s: %v", i+1, doc, err)
		}
		return
	}
	e := s3err.From(err)
	if e == nil || !strings.Contains(e.Message, c.Error) {
		t.Errorf("document %d: %s: %v, want %q", i+1, doc, err, c.Error)
		return
	}
	want := s3err.MalformedPolicyDocument
	if c.Kind == "bucket" {
		want = s3err.MalformedPolicy
	}
	if e.Code != want {
		t.Errorf("document %d: code %s", i+1, e.Code)
	}
}

func tryPublic(t *testing.T, i int, c publicCase) {
	t.Helper()
	p, err := ParseBucketPolicy("photos", "photos", []byte(`{"Version":"2012-10-17","Statement":`+string(c.Statement)+`}`))
	if err != nil {
		t.Errorf("public %d: %v", i+1, err)
		return
	}
	if p.Public() != c.Public {
		t.Errorf("public %d: %s: %v", i+1, c.Statement, p.Public())
	}
}
