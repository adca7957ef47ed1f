package access

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// grade tells how a statement's Principal fits the principal, the weakest
// first. It decides the effect of an allowance: an account only gets the right
// to allow its users, and an allowance to a role is narrowed by the session.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-id-rdp.html
type grade uint8

const (
	noMatch   grade = iota
	byAccount       // the principal's account
	byRole          // the session's role
	byAll           // "*"
	direct          // the user, the session, or the root of an account itself
)

// principalSet is the Principal or NotPrincipal of a statement.
type principalSet struct {
	not   bool
	all   bool
	names map[string]bool // ARNs in partition aws, account numbers, canonical ids, unique ids
}

// newPrincipalSet compiles the principals of a statement. It reports false if
// one is invalid. Trust policies cannot name canonical users.
func newPrincipalSet(raw rawPrincipals, not, trust bool) (principalSet, bool) {
	s := principalSet{not: not, names: make(map[string]bool)}
	for kind, names := range raw {
		if kind == everyone {
			s.all = true
		}
		for _, name := range names {
			switch {
			case name == "*" && kind == "AWS":
				s.all = true
			case kind == "AWS" && !trust && isCanonical(name):
				s.names[name] = true // AWS has the kind CanonicalUser for it; it means the same account
			case kind == "AWS":
				n, ok := principalName(name)
				if !ok {
					return s, false
				}
				s.names[n] = true
			case kind == "CanonicalUser" && !trust && isCanonical(name):
				s.names[name] = true
			case kind == "Federated" && isProvider(name):
				s.names[name] = true
			case kind == "Service" && isService(name):
				s.names[servicePrefix+name] = true
			default:
				return s, false
			}
		}
	}
	return s, true
}

// principalName returns the form in which a principal of type AWS is looked up.
func principalName(name string) (string, bool) {
	if _, unique := ParseUniqueID(name); unique || IsAccount(name) {
		return name, name != noAccount
	}
	a, ok := parseARN(name)
	if !ok || !IsAccount(a.account) || a.account == noAccount || a.region != "" || strings.ContainsAny(name, "*?$") {
		return "", false
	}
	kind, rest, _ := strings.Cut(a.resource, "/")
	switch {
	case a.service == "iam" && a.resource == "root":
		return a.account, true
	case a.service == "iam" && (kind == "user" || kind == "role"):
		ok = rest != "" && !strings.HasSuffix(rest, "/")
	case a.service == "sts" && kind == "assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		ok = role != "" && session != "" && !strings.Contains(session, "/")
	default:
		ok = false
	}
	return "arn:aws:" + a.service + "::" + a.account + ":" + a.resource, ok
}

// accountDigits is the length of an account number.
const accountDigits = 12

// IsAccount reports whether a name is an account number.
func IsAccount(s string) bool {
	return len(s) == accountDigits && strings.Trim(s, "0123456789") == ""
}

// isCanonical accepts the form of ID.Canonical.
func isCanonical(s string) bool { return isHex(s, sha256.Size) }

// isHex accepts lowercase hexadecimal digits of so many bytes.
func isHex(s string, size int) bool {
	return len(s) == 2*size && strings.Trim(s, "0123456789abcdef") == ""
}

// isProvider accepts the ARN or the host name of an identity provider.
func isProvider(s string) bool {
	if strings.HasPrefix(s, "arn:") {
		a, ok := parseARN(s)
		return ok && a.service == "iam" &&
			(strings.HasPrefix(a.resource, "oidc-provider/") || strings.HasPrefix(a.resource, "saml-provider/"))
	}
	return isHost(s)
}

// servicePrefix distinguishes the names of services from all others.
const servicePrefix = "service:"

// isService accepts the host name of a service.
func isService(s string) bool { return isHost(s) }

// isHost accepts names such as accounts.google.com or logging.s3.amazonaws.com.
func isHost(s string) bool {
	ok := strings.Contains(s, ".")
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_:/", c))
	}
	return ok
}

// identity holds the names by which policies can name a principal.
type identity struct {
	self     []string // its own ARN and unique id; the account's names for a root
	role     []string
	accounts []string // account number and canonical id of the tenant
}

// unnamed is for attached policies, which name nobody.
var unnamed identity

// newIdentity returns the names of the principal. The operator also has the
// names of the bucket owner's root.
func newIdentity(p *Principal, bucket *Bucket) (i identity) {
	if p.Kind == Nobody {
		return i
	}
	if p.Kind == Federated {
		if isProvider(p.Name) {
			i.self = one(p.Name)
		}
		return i
	}
	if p.Kind == Service {
		i.self = one(servicePrefix + p.Name)
		return i
	}
	i.accounts = accountNames(p.Account, p.Tenant)
	switch p.Kind {
	case User:
		i.self = []string{p.ARN(), UserUniqueID(p.ID)}
	case Session:
		i.self = []string{p.ARN(), p.UserID()}
		i.role = []string{p.RoleARN(), RoleUniqueID(p.ID)}
	case Root:
		if p.Operator && bucket != nil {
			i.accounts = append(i.accounts, accountNames(bucket.Account, bucket.Owner)...)
		}
		i.self = i.accounts
	}
	return i
}

// accountNames returns the names of an account.
func accountNames(account string, tenant ID) []string {
	names := make([]string, 0, 4)
	if account != "" && account != noAccount {
		names = append(names, account)
	}
	return append(names, tenant.Canonical())
}

// named reports whether the set has one of the names.
func (s *principalSet) named(names []string) bool {
	for _, n := range names {
		if s.names[n] {
			return true
		}
	}
	return false
}

// match grades how the set fits. NotPrincipal fits everybody except principals
// with all their names listed: a user together with its account, a session
// together with its role and account.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func (s *principalSet) match(i *identity) grade {
	if s.not {
		if s.all || s.excepts(i) {
			return noMatch
		}
		return byAll
	}
	// The best grade comes first.
	switch {
	case len(s.names) > 0 && s.named(i.self):
		return direct
	case s.all:
		return byAll
	case s.named(i.role):
		return byRole
	case s.named(i.accounts):
		return byAccount
	}
	return noMatch
}

// excepts reports whether NotPrincipal lists all names of the principal.
func (s *principalSet) excepts(i *identity) bool {
	return s.named(i.self) && (len(i.accounts) == 0 || s.named(i.accounts)) && (len(i.role) == 0 || s.named(i.role))
}

// list returns the names in order, for Policy.Principals.
func (s *principalSet) list() []string {
	var names []string
	for n := range s.names {
		if !strings.HasPrefix(n, servicePrefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}
