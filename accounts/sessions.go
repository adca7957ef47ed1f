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
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// sessionPrefix begins the access keys of temporary credentials, as in AWS.
	sessionPrefix = "ASIA"
	// sessionLabel is what session tokens are sealed for, with the access key.
	sessionLabel = "session"
	// maxToken bounds a session token as it arrives.
	maxToken = 8 << 10
	// longestSession is how long any session lasts at most. One of a release that
	// did not note when it began is taken to have begun so long before its end: who
	// ends sessions that are older than some time ends it.
	longestSession = 36 * time.Hour
)

// Session is what a temporary credential is to be.
type Session struct {
	Tenant   meta.ID
	Holder   meta.ID           // a user or role; the tenant for its root
	Kind     meta.IdentityKind // of Holder; 0 for root
	Name     string            // of a role's session
	Policies []PolicyText      // nil: none; else what the session is narrowed to
	Tags     map[string]string // in place of the holder's of the same name
	// Transitive are the keys of those tags that sessions which this one makes inherit,
	// and SourceIdentity who began the chain of sessions; empty: nobody said.
	Transitive     []string
	SourceIdentity string
	Expires        time.Time
}

// sessionDocument is what a session token is, sealed. There is no row of it: it
// is worth what its holder is worth when it is used.
type sessionDocument struct {
	Secret   string            `json:"secret"`
	Tenant   meta.ID           `json:"tenant"`
	Holder   meta.ID           `json:"holder"`
	Kind     meta.IdentityKind `json:"kind,omitempty"`
	Name     string            `json:"name,omitempty"`
	Narrowed bool              `json:"narrowed,omitempty"` // policies are there, though none may be left
	Policies []PolicyText      `json:"policies,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Transitive and Source are unknown to the release before, to which such a session
	// is one without.
	Transitive []string `json:"transitive,omitempty"`
	Source     string   `json:"source,omitempty"`
	Issued     int64    `json:"issued,omitempty"` // Unix seconds, as Expires
	Expires    int64    `json:"expires"`
}

// NewSession makes a temporary credential. Whether its maker may is for the
// caller to decide. PackedPolicyTooLarge when it does not fit into a token.
func (a *Accounts) NewSession(s Session) (Credential, error) {
	c := Credential{AccessKey: sessionPrefix + rand.Text()[:16], SecretKey: newSecret(),
		Issued: a.Now().UTC().Truncate(time.Second), Expires: s.Expires.UTC().Truncate(time.Second)}
	text, err := json.Marshal(sessionDocument{
		Secret: c.SecretKey, Tenant: s.Tenant, Holder: s.Holder, Kind: s.Kind, Name: s.Name,
		Narrowed: s.Policies != nil, Policies: s.Policies, Tags: s.Tags, Transitive: s.Transitive, Source: s.SourceIdentity, Issued: c.Issued.Unix(), Expires: c.Expires.Unix(),
	})
	if err != nil {
		return Credential{}, err
	}
	c.Token = base64.StdEncoding.EncodeToString(a.Records.SealDocument(sessionLabel, []byte(c.AccessKey), text))
	if len(c.Token) > maxToken {
		return Credential{}, s3err.New(s3err.PackedPolicyTooLarge, "")
	}
	return c, nil
}

// tokenSum names a session token and the access key that it came with.
type tokenSum [sha256.Size]byte

// SessionFacts is what a session has of its own. It is shared and never changes.
type SessionFacts struct {
	Name string // of a role's session
	// Policies narrow the session; nil: none do.
	Policies       []PolicyText
	Tags           map[string]string // in place of the holder's of the same name
	Transitive     []string          // keys of Tags
	SourceIdentity string

	once sync.Once
	made *narrowing // see compiled
}

// openedSession is a session token, opened.
type openedSession struct {
	facts           *SessionFacts
	secret          string
	tenant, holder  meta.ID
	kind            meta.IdentityKind
	issued, expires time.Time
}

// sessionCredential is the credential of a session token that came with an access key,
// of its holder as it is now.
func (a *Accounts) sessionCredential(ctx context.Context, accessKey, token string) (Credential, error) {
	sum := tokenSum(sha256.Sum256([]byte(accessKey + "/" + token))) // no access key has a slash
	s, ok := a.sessions.Get(sum)
	if !ok {
		d, err := a.readToken(accessKey, token)
		if err != nil {
			return Credential{}, s3err.Wrap(s3err.InvalidToken, err)
		}
		s = a.openedSession(&d)
		a.sessions.Put(sum, s)
	}
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
	if h.tenant.ID != s.tenant || h.principal.Kind != s.kind {
		return Credential{}, s3err.Wrap(s3err.InvalidToken, errors.New("the session's holder is another"))
	}
	return Credential{Tenant: h.tenant, AccessKey: accessKey, SecretKey: s.secret, Issued: s.issued, Expires: s.expires,
		Principal: h.principal, Session: s.facts}, nil
}

func (a *Accounts) openedSession(d *sessionDocument) *openedSession {
	s := &openedSession{
		facts:  &SessionFacts{Name: d.Name, Policies: d.Policies, Tags: d.Tags, Transitive: d.Transitive, SourceIdentity: d.Source},
		secret: d.Secret, tenant: d.Tenant, holder: d.Holder, kind: d.Kind,
		issued: time.Unix(d.Issued, 0).UTC(), expires: time.Unix(d.Expires, 0).UTC(),
	}
	if d.Issued == 0 {
		s.issued = s.expires.Add(-longestSession)
	}
	if d.Narrowed && s.facts.Policies == nil {
		s.facts.Policies = []PolicyText{}
	}
	for i := range s.facts.Policies {
		p := &s.facts.Policies[i]
		p.Document = a.sessions.Shared(p.Document)
	}
	return s
}

// size is how many bytes the session takes without the texts of its policies.
func (s *openedSession) size() int {
	n := sessionBytes + len(s.secret) + len(s.facts.Name) + len(s.facts.SourceIdentity) + 2*tagsSize(s.facts.Tags) + policiesSize(s.facts.Policies)
	for _, key := range s.facts.Transitive {
		n += bytesOfTagAndEntry + len(key)
	}
	return n
}

// sessionBytes is what an openedSession takes beside what is in it, and what is made of
// it.
const sessionBytes = 512

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
		return d, errors.New("a session of nobody")
	}
	return d, nil
}
