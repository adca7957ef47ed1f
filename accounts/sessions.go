package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// sessionPrefix begins the access keys of temporary credentials, as on AWS.
	sessionPrefix = "ASIA"
	// sessionLabel is the label that session tokens are sealed for, together
	// with the access key.
	sessionLabel = "session"
	// maxToken bounds a session token as it arrives, in bytes.
	maxToken = 8 << 10
	// longestSession is the longest duration of a session. A session of a
	// release that did not store its creation time counts as created so long
	// before its end, so that an operator who ends all sessions above some age
	// ends it too.
	longestSession = 36 * time.Hour
)

// Session describes a temporary credential to be created.
type Session struct {
	Tenant   meta.ID
	Holder   meta.ID           // a user or role; for root the tenant
	Kind     meta.IdentityKind // of Holder; 0 for root
	Name     string            // of a role's session
	Policies []PolicyText      // nil: none; otherwise the session is narrowed to them
	Tags     map[string]string // override the holder's tags of the same name
	// Transitive are the keys of tags that sessions made by this one inherit.
	// SourceIdentity is the name that the first caller of the chain of sessions
	// declared; empty: none.
	Transitive     []string
	SourceIdentity string
	Provider       string // ARN of the identity provider whose token made it; empty: none did
	Expires        time.Time
}

// sessionDocument is the sealed content of a session token. No row is stored:
// the session has the rights that its holder has at the time of use.
type sessionDocument struct {
	Secret   string            `json:"secret"`
	Tenant   meta.ID           `json:"tenant"`
	Holder   meta.ID           `json:"holder"`
	Kind     meta.IdentityKind `json:"kind,omitempty"`
	Name     string            `json:"name,omitempty"`
	Narrowed bool              `json:"narrowed,omitempty"` // there are policies, even if the list is empty
	Policies []PolicyText      `json:"policies,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Transitive, Source and Provider are unknown to the release before, which
	// ignores them.
	Transitive []string `json:"transitive,omitempty"`
	Source     string   `json:"source,omitempty"`
	Provider   string   `json:"provider,omitempty"`
	Issued     int64    `json:"issued,omitempty"` // Unix seconds, as Expires
	Expires    int64    `json:"expires"`
}

// NewSession makes a temporary credential. The caller decides whether its maker
// may. PackedPolicyTooLarge when it does not fit into a token.
func (a *Accounts) NewSession(s Session) (Credential, error) {
	c := Credential{AccessKey: sessionPrefix + rand.Text()[:16], SecretKey: newSecret(),
		Issued: a.Now().UTC().Truncate(time.Second), Expires: s.Expires.UTC().Truncate(time.Second)}
	text, err := json.Marshal(sessionDocument{
		Secret: c.SecretKey, Tenant: s.Tenant, Holder: s.Holder, Kind: s.Kind, Name: s.Name,
		Narrowed: s.Policies != nil, Policies: s.Policies, Tags: s.Tags, Transitive: s.Transitive, Source: s.SourceIdentity, Provider: s.Provider,
		Issued: c.Issued.Unix(), Expires: c.Expires.Unix(),
	})
	if err != nil {
		return Credential{}, err
	}
	sealed, err := a.Records.SealDocument(sessionLabel, []byte(c.AccessKey), text)
	if err != nil {
		return Credential{}, err
	}
	c.Token = base64.StdEncoding.EncodeToString(sealed)
	if len(c.Token) > maxToken {
		return Credential{}, s3err.New(s3err.PackedPolicyTooLarge, "")
	}
	return c, nil
}

// tokenSum identifies a session token with the access key that it came with.
type tokenSum [sha256.Size]byte

// SessionFacts holds a session's own facts. It is shared and never changes.
type SessionFacts struct {
	Name string // of a role's session
	// Policies narrow the session; nil: it is not narrowed.
	Policies       []PolicyText
	Tags           map[string]string // override the holder's tags of the same name
	Transitive     []string          // keys of Tags
	SourceIdentity string
	Provider       string // see Session

	once sync.Once
	made *narrowing // see compiled
}

// openedSession is an opened session token.
type openedSession struct {
	facts           *SessionFacts
	secret          string
	tenant, holder  meta.ID
	kind            meta.IdentityKind
	issued, expires time.Time
}

// sessionCredential returns the credential of a session token that came with an
// access key. The holder is read as it is now.
func (a *Accounts) sessionCredential(ctx context.Context, accessKey, token string) (Credential, error) {
	sum := tokenSum(sha256.Sum256([]byte(accessKey + "/" + token))) // access keys have no slash
	s, ok := a.sessions.Get(sum)
	if !ok {
		d, err := a.readToken(accessKey, token)
		if errors.Is(err, records.ErrNoKeys) {
			return Credential{}, err
		} else if err != nil {
			return Credential{}, s3err.Wrap(s3err.InvalidToken, err)
		}
		s = a.openedSession(&d)
		a.sessions.Put(sum, s)
	}
	// Not only when the token is opened: an opened one outlives its session in the
	// cache.
	if !a.Now().Before(s.expires) {
		return Credential{}, s3err.ExpiredToken
	}
	h, err := a.holderOf(ctx, s.holder, s.kind)
	if err != nil {
		if errors.Is(err, s3err.InvalidAccessKeyID) {
			return Credential{}, s3err.InvalidToken
		}
		return Credential{}, err
	}
	// The token is proof of what it was made for. A holder whose row says
	// otherwise was edited.
	if h.tenant.ID != s.tenant || h.principal.Kind != s.kind {
		return Credential{}, s3err.Wrap(s3err.InvalidToken, errors.New("the session's holder has another tenant or kind"))
	}
	return Credential{Tenant: h.tenant, AccessKey: accessKey, SecretKey: s.secret, Issued: s.issued, Expires: s.expires,
		Principal: h.principal, Session: s.facts}, nil
}

// openedSession returns the session of an opened token. Its policies' texts are
// shared with other sessions, since thousands of sessions of one role carry the
// same text.
func (a *Accounts) openedSession(d *sessionDocument) *openedSession {
	s := &openedSession{
		facts:  &SessionFacts{Name: d.Name, Policies: d.Policies, Tags: d.Tags, Transitive: d.Transitive, SourceIdentity: d.Source, Provider: d.Provider},
		secret: d.Secret, tenant: d.Tenant, holder: d.Holder, kind: d.Kind,
		issued: time.Unix(d.Issued, 0).UTC(), expires: time.Unix(d.Expires, 0).UTC(),
	}
	// Tokens of an early version have no time of issue. The earliest possible
	// one makes revocations apply to them.
	if d.Issued == 0 {
		s.issued = s.expires.Add(-longestSession)
	}
	// A session policy that allows nothing must stay different from no session
	// policy.
	if d.Narrowed && s.facts.Policies == nil {
		s.facts.Policies = []PolicyText{}
	}
	for i := range s.facts.Policies {
		p := &s.facts.Policies[i]
		p.Document = a.sessions.Shared(p.Document)
	}
	return s
}

// size is the session's memory in bytes, without the texts of its policies.
func (s *openedSession) size() int {
	n := sessionBytes + len(s.secret) + len(s.facts.Name) + len(s.facts.SourceIdentity) + len(s.facts.Provider) +
		2*tagsSize(s.facts.Tags) + policiesSize(s.facts.Policies)
	for _, key := range s.facts.Transitive {
		n += bytesOfTagAndEntry + len(key)
	}
	return n
}

// sessionBytes is the memory of an openedSession besides its content, and of
// its compiled form.
const sessionBytes = 512

// readToken opens a session token. It opens only with the access key that it
// was made for.
func (a *Accounts) readToken(accessKey, token string) (d sessionDocument, err error) {
	if len(token) > maxToken {
		return d, fmt.Errorf("a token of %d bytes", len(token))
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return d, errors.New("not base64")
	}
	text, err := a.Records.OpenDocument(sessionLabel, []byte(accessKey), sealed)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, err
	}
	if d.Secret == "" || d.Holder.IsZero() {
		return d, errors.New("the session has no holder or no secret")
	}
	return d, nil
}
