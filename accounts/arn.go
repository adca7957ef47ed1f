package accounts

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// accountDigits is the length of an account number.
const accountDigits = 12

// noAccount is no tenant's number: package access uses it for tenants without
// one.
const noAccount = "000000000000"

// Account is the 12-digit account number of a tenant, as in ARNs. It is derived
// from the id by a hash. Two ids can have the same number, so CreateTenant
// refuses a tenant whose number is taken.
func Account(tenant meta.ID) string {
	h := sha256.Sum256(append([]byte("sanctum account number\x00"), tenant[:]...))
	n := binary.BigEndian.Uint64(h[:]) % 1_000_000_000_000
	var digits [12]byte
	for i := range digits {
		digits[len(digits)-1-i] = '0' + byte(n%10)
		n /= 10
	}
	return string(digits[:])
}

// ManagedPrefix begins the ARNs of ManagedPolicies.
const ManagedPrefix = "arn:aws:iam::aws:policy/"

// ARN names the identity.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func (i *Identity) ARN() string {
	if i.Managed() {
		return ManagedPrefix + i.Name
	}
	return ARN(Account(i.Tenant), i.Kind, i.Path, i.Name)
}

// ARN makes the ARN of an identity of an account. An empty path counts as "/".
func ARN(account string, kind meta.IdentityKind, path, name string) string {
	if path == "" || kind == meta.IdentityProvider {
		path = "/"
	}
	return "arn:aws:iam::" + account + ":" + kindLabels[kind] + path + name
}

// SessionARN names a session of the identity, which is a role. It leaves out
// the role's path, as on AWS.
func (i *Identity) SessionARN(session string) string {
	return "arn:aws:sts::" + Account(i.Tenant) + ":assumed-role/" + i.Name + "/" + session
}

// CutARN returns the account, and the path with the name, of an ARN of IAM of a
// kind such as "role". It reports false for anything else.
func CutARN(arn, kind string) (account, name string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::")
	if !ok {
		return "", "", false
	}
	account, rest, ok = strings.Cut(rest, ":")
	if !ok || len(account) != accountDigits {
		return "", "", false
	}
	name, ok = strings.CutPrefix(rest, kind+"/")
	return account, name, ok && name != ""
}
