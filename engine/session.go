package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
	Expires  time.Time
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
	Issued   int64             `json:"issued,omitempty"` // Unix seconds, as Expires
	Expires  int64             `json:"expires"`
}

// NewSession makes a temporary credential. Whether its maker may is for the
// caller to decide. PackedPolicyTooLarge when it does not fit into a token.
func (e *Engine) NewSession(s Session) (Credential, error) {
	c := Credential{AccessKey: sessionPrefix + rand.Text()[:16], SecretKey: newSecret(),
		Issued: e.now().UTC().Truncate(time.Second), Expires: s.Expires.UTC().Truncate(time.Second)}
	text, err := json.Marshal(sessionDocument{
		Secret: c.SecretKey, Tenant: s.Tenant, Holder: s.Holder, Kind: s.Kind, Name: s.Name,
		Narrowed: s.Policies != nil, Policies: s.Policies, Tags: s.Tags, Issued: c.Issued.Unix(), Expires: c.Expires.Unix(),
	})
	if err != nil {
		return Credential{}, err
	}
	c.Token = base64.StdEncoding.EncodeToString(e.system.SealDocument(sessionLabel, []byte(c.AccessKey), text))
	if len(c.Token) > maxToken {
		return Credential{}, s3err.New(s3err.PackedPolicyTooLarge, "")
	}
	return c, nil
}

// openSession reads a session token that came with an access key, and its holder
// as it is now.
func (e *Engine) openSession(ctx context.Context, accessKey, token string) (Credential, error) {
	d, err := e.readToken(accessKey, token)
	if err != nil {
		return Credential{}, s3err.Wrap(s3err.InvalidToken, err)
	}
	expires := time.Unix(d.Expires, 0).UTC()
	if !e.now().Before(expires) {
		return Credential{}, s3err.ExpiredToken
	}
	kind := d.Kind
	c, err := e.credentialHolder(ctx, d.Holder, kind)
	if err != nil {
		if errors.Is(err, s3err.InvalidAccessKeyID) {
			return Credential{}, s3err.InvalidToken
		}
		return Credential{}, err
	}
	if c.Tenant.ID != d.Tenant || c.Principal.Kind != kind {
		return Credential{}, s3err.Wrap(s3err.InvalidToken, errors.New("the session's holder is another"))
	}
	c.AccessKey, c.SecretKey, c.Expires = accessKey, d.Secret, expires
	if c.Issued = time.Unix(d.Issued, 0).UTC(); d.Issued == 0 {
		c.Issued = expires.Add(-longestSession)
	}
	p := c.Principal
	p.SessionName, p.Session = d.Name, d.Policies
	if d.Narrowed && p.Session == nil {
		p.Session = []PolicyText{}
	}
	if p.Tags == nil {
		p.Tags = make(map[string]string)
	}
	for k, v := range d.Tags {
		p.Tags[k] = v
	}
	return c, nil
}

func (e *Engine) readToken(accessKey, token string) (d sessionDocument, err error) {
	if len(token) > maxToken {
		return d, fmt.Errorf("a token of %d bytes", len(token))
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return d, errors.New("not base64")
	}
	text, err := e.system.OpenDocument(sessionLabel, []byte(accessKey), sealed)
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
