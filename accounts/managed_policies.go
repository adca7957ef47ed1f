package accounts

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// managedPolicies are policies that every tenant has and none can change, under
// the names of AWS's own. Their texts are the gateway's, for the actions that
// it has. Their ids are derived from their names, so that they are the same on
// all gateways.
// Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
var managedPolicies = []Identity{
	managedPolicy("AdministratorAccess", "Everything that an account can do.",
		`{"Effect":"Allow","Action":"*","Resource":"*"}`),
	managedPolicy("AmazonS3FullAccess", "Every action of S3 on every bucket.",
		`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`),
	managedPolicy("AmazonS3ReadOnlyAccess", "Reads and lists every bucket.",
		`{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}`),
	managedPolicy("IAMFullAccess", "Every action of IAM.",
		`{"Effect":"Allow","Action":"iam:*","Resource":"*"}`),
	managedPolicy("IAMReadOnlyAccess", "Reads and lists users, groups, roles and policies.",
		`{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}`),
	managedPolicy("IAMUserChangePassword", "Lets a user change its own password.",
		`{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"arn:aws:iam::*:user/${aws:username}"},`+
			`{"Effect":"Allow","Action":"iam:GetAccountPasswordPolicy","Resource":"*"}`),
	managedPolicy("PowerUserAccess", "Everything except users, groups and policies.",
		`{"Effect":"Allow","NotAction":["iam:*","account:*","organizations:*"],"Resource":"*"},`+
			`{"Effect":"Allow","Action":["iam:ListRoles","account:GetAccountInformation","account:ListRegions",`+
			`"organizations:DescribeOrganization"],"Resource":"*"}`),
	managedPolicy("ReadOnlyAccess", "Reads and lists everything.",
		`{"Effect":"Allow","Action":["s3:Get*","s3:List*","iam:Get*","iam:List*",`+
			`"sts:GetCallerIdentity","sts:GetSessionToken"],"Resource":"*"}`),
}

// managedSince is their shown creation time.
var managedSince = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// managedPolicy makes one with a single version.
func managedPolicy(name, description, statements string) Identity {
	sum := sha256.Sum256([]byte("sanctum managed policy\x00" + name))
	p := Identity{Kind: meta.IdentityPolicy, Name: name, Path: "/", Description: description, Created: managedSince, Policy: &PolicyFacts{
		Versions: []PolicyVersion{{Number: 1, Document: `{"Version":"2012-10-17","Statement":[` + statements + `]}`, Created: managedSince}},
		Default:  1, Next: 2, Updated: managedSince,
	}}
	copy(p.ID[:], sum[:])
	return p
}

// Managed reports whether it is a policy that every tenant has and none can
// change.
func (i *Identity) Managed() bool { return i.Kind == meta.IdentityPolicy && i.Tenant.IsZero() }

// ManagedPolicies returns these policies, ordered by name. They belong to no
// tenant and are shared: they must not be changed.
func ManagedPolicies() []Identity { return slices.Clone(managedPolicies) }

// ManagedPolicy finds one of them by its name.
func ManagedPolicy(name string) (Identity, bool) {
	return findManaged(func(p *Identity) bool { return p.Name == name })
}

// findManaged returns the first managed policy for which is holds. The list is
// short, so it needs no index.
func findManaged(is func(*Identity) bool) (Identity, bool) {
	for i := range managedPolicies {
		if is(&managedPolicies[i]) {
			return managedPolicies[i], true
		}
	}
	return Identity{}, false
}

// takeManaged moves the managed ones of the ids to all, and returns the other
// ids.
func takeManaged(ids []meta.ID, all map[meta.ID]Identity) (others []meta.ID) {
	for _, id := range ids {
		if p, ok := findManaged(func(p *Identity) bool { return p.ID == id }); ok {
			all[id] = p
		} else {
			others = append(others, id)
		}
	}
	return others
}
