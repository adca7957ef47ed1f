package access

import "time"

// Kind is what sort of principal signed a request.
type Kind uint8

const (
	Nobody    Kind = iota // anonymous: no signature was given
	Root                  // a tenant's root
	User                  // an IAM user of a tenant
	Session               // an assumed role
	Federated             // a token of an identity provider that asks sts: for a role
	Service               // of S3 itself, that delivers a report for a bucket's owner
)

// Principal is who a request comes from, as its signature proved.
type Principal struct {
	Kind    Kind
	Tenant  ID     // the account
	Account string // its 12 digits
	ID      ID     // the user's or role's; the tenant's for Root
	// Name and Path are the user's or role's, Path with a slash at both ends or
	// empty. For Federated, Name is the provider: an ARN or a host's name; for Service
	// it is the service's, such as logging.s3.amazonaws.com.
	Name, Path  string
	SessionName string
	Issued      time.Time // when a temporary credential was made; zero: it lasts
	// Operator: the deployment's own root, which acts as the root of the owner
	// of every bucket and may alone take actions of services other than S3, IAM
	// and STS. It counts for Kind Root only.
	Operator bool

	Identity []*Policy // everything attached to the user, its groups, the role
	Boundary *Policy   // nil: none
	// Session are session policies; nil: none. A session may do what these and
	// the identity's policies allow, so that an empty list allows nothing.
	Session []*Policy
	Tags    map[string]string // aws:PrincipalTag/x
	// SourceIdentity is who began the chain of sessions that this is of, as who did said;
	// empty: nobody said.
	SourceIdentity string
	// Broken is set when a policy of the principal could not be read. Everything
	// is denied, and this is the reason.
	Broken error
}

// ARN names the principal as policies and GetCallerIdentity do; empty for
// Nobody.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func (p *Principal) ARN() string {
	switch p.Kind {
	case Root:
		return "arn:aws:iam::" + p.Account + ":root"
	case User:
		return "arn:aws:iam::" + p.Account + ":user" + slashed(p.Path) + p.Name
	case Session:
		return "arn:aws:sts::" + p.Account + ":assumed-role/" + p.Name + "/" + p.SessionName
	case Federated:
		return p.Name
	}
	return ""
}

// RoleARN names the role of a Session; empty for others.
func (p *Principal) RoleARN() string {
	if p.Kind != Session {
		return ""
	}
	return "arn:aws:iam::" + p.Account + ":role" + slashed(p.Path) + p.Name
}

func slashed(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// The prefixes of unique ids of users and roles.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
const (
	userPrefix = "AIDA"
	rolePrefix = "AROA"
)

// UserUniqueID and RoleUniqueID are the unique ids that the IAM API shows for a
// user and a role.
func UserUniqueID(id ID) string { return userPrefix + id.String() }
func RoleUniqueID(id ID) string { return rolePrefix + id.String() }

// UserID is aws:userid: what GetCallerIdentity shows as UserId. It is empty for
// Nobody and Federated.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
func (p *Principal) UserID() string {
	switch p.Kind {
	case Root:
		return p.Account
	case User:
		return UserUniqueID(p.ID)
	case Session:
		return RoleUniqueID(p.ID) + ":" + p.SessionName
	}
	return ""
}

// Anonymous reports whether no signature was given.
func (p *Principal) Anonymous() bool { return p.Kind == Nobody }
