package iam

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Durations of sessions.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	leastSession       = 15 * time.Minute
	defaultRoleSession = time.Hour
	chainedSession     = time.Hour // of a role that a session assumes
	rootSession        = time.Hour
	defaultUserSession = 12 * time.Hour
	mostUserSession    = 36 * time.Hour

	maxSessionPolicy   = 2048
	maxSessionPolicies = 10
)

// sessionNamePattern matches names of sessions and source identities.
var sessionNamePattern = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{2,64}$`)

// getCallerIdentity shows the caller. A Deny does not apply, as on AWS.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func getCallerIdentity(c *call) (any, error) {
	if err := c.decide(access.Need{Action: "sts:GetCallerIdentity"}); err != nil {
		return nil, err
	}
	return struct{ UserId, Account, Arn string }{c.principal.UserID(), c.principal.Account, c.principal.ARN()}, nil
}

// credentialsXML is a temporary credential. Its secret is shown once.
type credentialsXML struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }

// credentialsShown is a credential in the form of the answer.
func credentialsShown(c accounts.Credential) credentialsXML {
	return credentialsXML{c.AccessKey, c.SecretKey, c.Token, stamp(c.Expires)}
}

// duration reads DurationSeconds.
func (c *call) duration(otherwise, most time.Duration) (time.Duration, error) {
	// An absent duration is never an error, even if the role permits less than
	// the default.
	v := c.form["DurationSeconds"]
	if v == "" {
		return min(otherwise, most), nil
	}
	n, ok := strict.Number(v, int64(most/time.Second))
	if d := time.Duration(n) * time.Second; ok && d >= leastSession {
		return d, nil
	}
	return 0, s3err.New(s3err.ValidationError, "The requested DurationSeconds must be %d to %d for this session.",
		int(leastSession/time.Second), int(most/time.Second))
}

// getSessionToken needs no permission, because the session has no more rights
// than its maker.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
func getSessionToken(c *call) (any, error) {
	// A session that could extend itself would never end.
	if c.cred.Temporary() {
		c.reason = "a session asks for a session token"
		return nil, s3err.New(s3err.AccessDenied, "Cannot call GetSessionToken with session credentials")
	}
	most := mostUserSession
	if c.principal.Kind == access.Root {
		most = rootSession
	}
	d, err := c.duration(defaultUserSession, most)
	if err != nil {
		return nil, err
	}
	made, err := c.Accounts.NewSession(accounts.Session{
		Tenant: c.tenant(), Holder: c.cred.Principal.ID, Kind: c.cred.Principal.Kind, Expires: c.now().Add(d),
	})
	if err != nil {
		return nil, err
	}
	return struct{ Credentials credentialsXML }{credentialsShown(made)}, nil
}

// sessionPolicies reads Policy and PolicyArns, which are policies of the
// tenant; nil: none.
func (c *call) sessionPolicies(tenant meta.ID) ([]accounts.PolicyText, error) {
	var all []accounts.PolicyText
	if document, ok := c.form["Policy"]; ok {
		if len(document) > maxSessionPolicy {
			return nil, s3err.PackedPolicyTooLarge
		}
		if _, err := access.ParseIdentityPolicy("", []byte(document)); err != nil {
			return nil, err
		}
		all = append(all, accounts.PolicyText{Name: "session policy", Document: document})
	}
	for i := 1; ; i++ {
		// The list ends here: lists with gaps were refused before.
		arn, ok := c.form["PolicyArns.member."+strconv.Itoa(i)+".arn"]
		if !ok {
			return all, nil
		}
		if i > maxSessionPolicies {
			return nil, s3err.New(s3err.ValidationError, "A session can have at most %d managed policies.", maxSessionPolicies)
		}
		p, err := c.policyOf(tenant, arn)
		if err != nil {
			return nil, err
		}
		text, ok := p.Policy.Document()
		if !ok {
			return nil, s3err.New(s3err.NoSuchEntity, "Policy %s has no default version.", clip(arn))
		}
		all = append(all, accounts.PolicyText{Name: p.Name, Document: text})
	}
}

// assumed returns the role to assume. found is false when no such role can be
// assumed, which the caller is told as a denial.
func (c *call) assumed() (a assumption, found bool, err error) {
	if a.arn, err = c.form.need("RoleArn"); err != nil {
		return a, false, err
	}
	// The log names the requested role for refusals too.
	c.resource = a.arn
	if a.session, err = c.form.need("RoleSessionName"); err != nil {
		return a, false, err
	}
	if !sessionNamePattern.MatchString(a.session) {
		return a, false, s3err.New(s3err.ValidationError, "RoleSessionName must have 2 to 64 letters, digits and + = , . @ _ -")
	}
	account, name, ok := accounts.CutARN(a.arn, "role")
	if !ok {
		// An ARN that names no role at all is an error of the caller and
		// reveals nothing.
		return a, false, s3err.New(s3err.ValidationError, "%s is invalid", clip(a.arn))
	}
	// An absent account is not told apart from an absent role.
	t, err := c.Accounts.TenantByAccount(c.ctx, account)
	if a.tenant = t.ID; err != nil || t.ID.IsZero() {
		return a, false, err
	}
	a.role, err = c.Accounts.Identity(c.ctx, t.ID, meta.IdentityRole, name[strings.LastIndexByte(name, '/')+1:])
	if err != nil {
		if s3err.From(err).Code == s3err.NoSuchEntity {
			err = nil
		}
		return a, false, err
	}
	// The path is part of the ARN. A role with the name and another path is not
	// the one that is meant.
	if a.role.ARN() != a.arn {
		return a, false, nil
	}
	a.trust, err = storedTrust(&a.role)
	return a, err == nil, err
}

// denyRole is the denial for a role that may not exist. It looks like any
// other.
func (c *call) denyRole(a assumption, reason string) error {
	c.reason = reason
	return c.denial(serviceSTS+":"+c.name, a.arn)
}
