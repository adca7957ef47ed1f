package iam

import (
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

const (
	maxTrust        = 2048 // of a trust policy, in characters
	leastMaxSession = time.Hour
	mostMaxSession  = 12 * time.Hour
)

// roleXML describes a role.
type roleXML struct {
	Path, RoleName, RoleId, Arn, CreateDate string
	AssumeRolePolicyDocument                string
	Description                             string `xml:",omitempty"`
	MaxSessionDuration                      int
	PermissionsBoundary                     *boundaryXML     `xml:",omitempty"`
	Tags                                    *members[tagXML] `xml:",omitempty"`
}

// roleShown leaves out tags and boundary; trust is the policy with ARNs.
func roleShown(r accounts.Identity, trust string) roleXML {
	return roleXML{Path: r.Path, RoleName: r.Name, RoleId: uniqueID(&r), Arn: r.ARN(), CreateDate: stamp(r.Created),
		AssumeRolePolicyDocument: encoded(trust), Description: r.Description,
		MaxSessionDuration: int(r.Role.MaxSession / time.Second)}
}

// roleInFull shows a role with tags and boundary, as GetRole does.
func (c *call) roleInFull(r accounts.Identity) (roleXML, error) {
	trusts, err := c.trustsShown([]accounts.Identity{r})
	if err != nil {
		return roleXML{}, err
	}
	x := roleShown(r, trusts[0])
	x.Tags = tagsShown(r.Tags)
	x.PermissionsBoundary, err = c.boundaryShown(r)
	return x, err
}

// trust validates a trust policy and returns its stored form. Users and roles
// in it are named by their unique ids, so that one created later under the same
// name is not trusted.
func (c *call) trust(document string) (string, error) {
	if characters(document) > maxTrust {
		return "", s3err.New(s3err.LimitExceeded, "Cannot exceed quota for ACLSizePerRole: %d", maxTrust)
	}
	p, err := access.ParseTrustPolicy("", []byte(document))
	if err != nil {
		return "", err
	}
	ids, nobody, err := c.Accounts.PrincipalIDs(c.ctx, p)
	if err != nil {
		return "", err
	}
	if nobody != "" {
		return "", s3err.New(s3err.MalformedPolicyDocument, "Invalid principal in policy: %q", clip(nobody))
	}
	return p.WithIDs(func(arn string) (string, bool) {
		id, ok := ids[arn]
		return id, ok
	}).Text()
}

// maxSession reads MaxSessionDuration, in seconds; otherwise applies if it is
// absent.
func (c *call) maxSession(otherwise time.Duration) (time.Duration, error) {
	v := c.form["MaxSessionDuration"]
	if v == "" {
		return otherwise, nil
	}
	n, ok := strict.Number(v, int64(mostMaxSession/time.Second))
	d := time.Duration(n) * time.Second
	if !ok || d < leastMaxSession {
		return 0, s3err.New(s3err.ValidationError, "MaxSessionDuration must be 3600 to 43200 seconds.")
	}
	return d, nil
}

// createRole creates a role with its trust policy.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
func createRole(c *call) (any, error) {
	name, err := c.form.need("RoleName")
	if err != nil {
		return nil, err
	}
	document, err := c.form.need("AssumeRolePolicyDocument")
	if err != nil {
		return nil, err
	}
	tags, err := c.form.tags()
	if err != nil {
		return nil, err
	}
	session, err := c.maxSession(leastMaxSession)
	if err != nil {
		return nil, err
	}
	if err := c.form.checkDescription(); err != nil {
		return nil, err
	}
	path := c.pathOrRoot()
	// The caller needs the permission to tag as well if there are tags.
	err = c.allowWithTags("TagRole", c.arn(meta.IdentityRole, path, name), tags,
		boundaryContext(c.form["PermissionsBoundary"])...)
	if err != nil {
		return nil, err
	}
	// The trust policy is resolved only after the decision, because its errors
	// tell which principals exist.
	if document, err = c.trust(document); err != nil {
		return nil, err
	}
	boundary, _, err := c.boundary()
	if err != nil {
		return nil, err
	}
	r, err := c.Accounts.CreateIdentity(c.ctx, accounts.Identity{
		Tenant: c.tenant(), Kind: meta.IdentityRole, Name: name, Path: path, Tags: tags, Boundary: boundary,
		Description: c.form["Description"], Role: &accounts.RoleFacts{Trust: document, MaxSession: session},
	})
	if err != nil {
		return nil, err
	}
	x, err := c.roleInFull(r)
	return struct{ Role roleXML }{x}, err
}

// getRole shows a role.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func getRole(c *call) (any, error) {
	r, err := c.named(meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	x, err := c.roleInFull(r)
	return struct{ Role roleXML }{x}, err
}

// listRoles lists the tenant's roles, without tags and boundaries, as AWS does.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
func listRoles(c *call) (any, error) {
	if err := c.allow(c.arn(meta.IdentityRole, "/", "")); err != nil {
		return nil, err
	}
	found, end, err := c.listed(meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	trusts, err := c.trustsShown(found)
	if err != nil {
		return nil, err
	}
	var roles members[roleXML]
	for i, r := range found {
		roles.Member = append(roles.Member, roleShown(r, trusts[i]))
	}
	return struct {
		Roles members[roleXML]
		paging
	}{roles, end}, nil
}

// updateRoleDescription is UpdateRole for the description alone. It answers
// with the role.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRoleDescription.html
func updateRoleDescription(c *call) (any, error) {
	r, err := c.named(meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	if err := c.form.checkDescription(); err != nil {
		return nil, err
	}
	r, err = c.change(r, func(r *accounts.Identity) error {
		r.Description = c.form["Description"]
		return nil
	})
	if err != nil {
		return nil, err
	}
	x, err := c.roleInFull(r)
	return struct{ Role roleXML }{x}, err
}

// updateRole changes the given parameters. Present sessions keep their end.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
func updateRole(c *call) (any, error) {
	r, err := c.named(meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	session, err := c.maxSession(r.Role.MaxSession)
	if err != nil {
		return nil, err
	}
	if err := c.form.checkDescription(); err != nil {
		return nil, err
	}
	_, err = c.change(r, func(r *accounts.Identity) error {
		r.Role.MaxSession = session
		if d, ok := c.form["Description"]; ok {
			r.Description = d
		}
		return nil
	})
	return struct{}{}, err
}

// updateAssumeRolePolicy replaces the trust policy. Present sessions stay
// valid.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html
func updateAssumeRolePolicy(c *call) (any, error) {
	document, err := c.form.need("PolicyDocument")
	if err != nil {
		return nil, err
	}
	r, err := c.named(meta.IdentityRole)
	if err != nil {
		return nil, err
	}
	// After the decision, because errors of a trust policy tell which principals
	// exist.
	if document, err = c.trust(document); err != nil {
		return nil, err
	}
	_, err = c.change(r, func(r *accounts.Identity) error {
		r.Role.Trust = document
		return nil
	})
	return nil, err
}

// deleteRole refuses a role with policies, as AWS does. Its sessions become
// invalid.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
func deleteRole(c *call) (any, error) {
	r, err := c.named(meta.IdentityRole)
	switch {
	case err != nil:
		return nil, err
	case len(r.Attached) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return nil, s3err.New(s3err.DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil, c.Accounts.DeleteIdentity(c.ctx, r)
}
