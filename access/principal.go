package access

import "time"

// Kind is the kind of principal that signed a request.
type Kind uint8

const (
	Nobody    Kind = iota // anonymous: no signature
	Root                  // a tenant's root
	User                  // an IAM user of a tenant
	Session               // an assumed role's session
	Federated             // a token of an identity provider that asks sts for a role
	Service               // of S3 itself, to deliver a report for a bucket's owner
)

// Principal is the sender of a request, as its signature proved.
type Principal struct {
	Kind    Kind
	Tenant  ID     // the account
	Account string // its 12 digits
	ID      ID     // the user's or role's; the tenant's for Root
	// Name and Path are the user's or role's; Path has a slash at both ends or
	// is empty. For Federated, Name is the provider: an ARN or a host name. For
	// Service it is the service's, such as logging.s3.amazonaws.com.
	Name, Path  string
	SessionName string
	Issued      time.Time // creation of a temporary credential; zero: it is permanent
	// Operator: the deployment's own root. It acts as the root of the owner of
	// every bucket, and only it may take actions of services other than S3, IAM
	// and STS. It has an effect for Kind Root only.
	Operator bool

	Identity []*Policy // all policies attached to the user, its groups, or the role
	Boundary *Policy   // nil: none
	// Session are session policies; nil: none. A session may do what both these
	// and the identity's policies allow, so that an empty list allows nothing.
	Session []*Policy
	Tags    map[string]string // aws:PrincipalTag/x
	// SourceIdentity is the name that the first caller of a chain of sessions declared; empty: none.
	SourceIdentity string
	// Provider is the ARN of the identity provider whose token made a session; empty: none did.
	Provider string
	// Broken is set when a policy of the principal could not be read. Then
	// everything is denied, with this reason.
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

// RoleARN names the role of a Session; empty for other kinds.
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

// UserID is aws:userid, which GetCallerIdentity shows as UserId. It is empty
// for Nobody and Federated.
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

// Anonymous reports whether the request was not signed.
func (p *Principal) Anonymous() bool { return p.Kind == Nobody }
