package accounts

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a tenant's identities.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	MaxPolicyVersions = 5
	MaxAttached       = 10 // policies of one user, group or role
	MaxGroups         = 10 // of one user
	MaxUserKeys       = 2  // access keys of one user
)

// maxIdentities bounds the identities of each kind in a tenant: AWS's quotas.
var maxIdentities = map[meta.IdentityKind]int{
	meta.IdentityUser: 5000, meta.IdentityGroup: 300, meta.IdentityRole: 1000,
	meta.IdentityPolicy: 1500, meta.IdentityProvider: 100,
}

// MaxIdentities is the largest number of identities of a kind in a tenant.
func MaxIdentities(kind meta.IdentityKind) int { return maxIdentities[kind] }

var (
	identityNamePattern = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,128}$`)
	identityPathPattern = regexp.MustCompile(`^/([\x21-\x7e]{0,510}/)?$`)
	// maxNames bounds the lengths of names. A provider's name is part of a URL.
	maxNames = map[meta.IdentityKind]int{
		meta.IdentityUser: 64, meta.IdentityGroup: 128, meta.IdentityRole: 64,
		meta.IdentityPolicy: 128, meta.IdentityProvider: meta.MaxIdentityName,
	}
)

// checkIdentity checks the name and the path of a new or renamed identity. A
// provider's name is a URL, which its caller has checked. Errors:
// ValidationError.
func checkIdentity(i *Identity) error {
	if len(i.Name) > maxNames[i.Kind] || i.Kind != meta.IdentityProvider && !identityNamePattern.MatchString(i.Name) {
		return s3err.New(s3err.ValidationError,
			"The name of a %s must have 1 to %d letters, digits and + = , . @ _ -", kindLabels[i.Kind], maxNames[i.Kind])
	}
	if i.Kind != meta.IdentityProvider && !identityPathPattern.MatchString(i.Path) {
		return s3err.New(s3err.ValidationError, "A path must begin and end with a slash and have at most 512 printable ASCII characters.")
	}
	return nil
}

// CreateIdentity stores an identity of the given kind, name and contents, and
// returns it with its id. A new user, group or role has only the rights in i.
// Errors: ValidationError, EntityAlreadyExists, LimitExceeded, NoSuchEntity for
// the tenant.
func (a *Accounts) CreateIdentity(ctx context.Context, i Identity) (Identity, error) {
	if i.Path == "" {
		i.Path = "/"
	}
	if err := checkIdentity(&i); err != nil {
		return Identity{}, err
	}
	have, err := a.CountIdentities(ctx, i.Tenant, i.Kind)
	if err != nil {
		return Identity{}, err
	}
	if most := maxIdentities[i.Kind]; have >= most {
		return Identity{}, s3err.New(s3err.LimitExceeded, "Cannot exceed quota of %d %ss in an account.", most, kindLabels[i.Kind])
	}
	i.ID, i.Created, i.revision = meta.NewID(), a.Now(), 1
	row, err := a.sealIdentity(i, 1)
	if err != nil {
		return Identity{}, err
	}
	err = a.Store.CreateIdentity(ctx, row)
	switch {
	case errors.Is(err, meta.ErrExists):
		return Identity{}, identityExists(i.Kind, i.Name)
	case errors.Is(err, meta.ErrNotFound):
		return Identity{}, s3err.New(s3err.NoSuchEntity, "The account cannot be found.")
	}
	return i, identityError(err)
}

// identityError gives the store's errors about an identity the codes of IAM.
func identityError(err error) error {
	if errors.Is(err, meta.ErrLimit) {
		return s3err.New(s3err.LimitExceeded, "The identity is too large: remove policies, tags or groups.")
	}
	return meta.Coded(err)
}

// identityExists is the error for a name that another identity of the kind has.
func identityExists(kind meta.IdentityKind, name string) error {
	return s3err.New(s3err.EntityAlreadyExists, "The %s with name %s already exists.", kindLabels[kind], name)
}

// noSuchIdentity is the error for a name that no identity of the kind has.
// Clients look for its code and text, which are those of AWS.
func noSuchIdentity(kind meta.IdentityKind, name string) error {
	return s3err.New(s3err.NoSuchEntity, "The %s with name %s cannot be found.", kindLabels[kind], name)
}

// Identity returns the identity with a name, in any case; NoSuchEntity.
func (a *Accounts) Identity(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, name string) (Identity, error) {
	if name == "" || len(name) > meta.MaxIdentityName {
		return Identity{}, noSuchIdentity(kind, name)
	}
	row, err := a.Store.Identity(ctx, tenant, kind, name)
	if errors.Is(err, meta.ErrNotFound) {
		return Identity{}, noSuchIdentity(kind, name)
	} else if err != nil {
		return Identity{}, meta.Coded(err)
	}
	i, err := a.openIdentity(row)
	// The store looks names up by a column that it derives. If that column was
	// edited, one identity could take the place of another.
	if err == nil && !sameName(i.Name, name) {
		err = records.Edited("the row of "+kindLabels[kind]+" "+row.ID.String(), errors.New("it is found by another name"))
	}
	return i, err
}

// sameName reports whether two names of identities differ in the case of ASCII
// letters only.
func sameName(a, b string) bool {
	fold := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, s)
	}
	return fold(a) == fold(b)
}

// IdentitiesByID returns the identities with the ids that exist and can be
// read, including ManagedPolicies. broken has the errors of those that cannot
// be read.
func (a *Accounts) IdentitiesByID(ctx context.Context, ids []meta.ID) (all map[meta.ID]Identity, broken map[meta.ID]error, err error) {
	// Ids that do not exist are in neither map.
	all, broken = make(map[meta.ID]Identity, len(ids)), make(map[meta.ID]error)
	ids = takeManaged(ids, all)
	for len(ids) > 0 {
		n := min(len(ids), meta.MaxBatch)
		rows, err := a.Store.IdentitiesByID(ctx, ids[:n])
		if err != nil {
			return nil, nil, meta.Coded(err)
		}
		for _, row := range rows {
			if i, err := a.openIdentity(row); errors.Is(err, records.ErrNoKeys) {
				return nil, nil, err
			} else if err != nil {
				broken[row.ID] = err
			} else {
				all[row.ID] = i
			}
		}
		ids = ids[n:]
	}
	return all, broken, nil
}

// ListIdentities returns at most limit identities of a kind after a name,
// ordered by name without regard to case.
func (a *Accounts) ListIdentities(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, after string, limit int) ([]Identity, error) {
	rows, err := a.Store.ListIdentities(ctx, tenant, kind, after, limit)
	if err != nil {
		return nil, meta.Coded(err)
	}
	all := make([]Identity, 0, len(rows))
	for _, row := range rows {
		i, err := a.openIdentity(row)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// eachRow calls do with every identity of a kind until it returns false.
func (a *Accounts) eachRow(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, do func(meta.Identity) (bool, error)) error {
	for after := ""; ; {
		rows, err := a.Store.ListIdentities(ctx, tenant, kind, after, meta.MaxPage)
		if err != nil {
			return meta.Coded(err)
		}
		for _, row := range rows {
			after = row.Name
			if more, err := do(row); err != nil || !more {
				return err
			}
		}
		if len(rows) < meta.MaxPage {
			return nil
		}
	}
}

// CountIdentities counts the identities of a kind.
func (a *Accounts) CountIdentities(ctx context.Context, tenant meta.ID, kind meta.IdentityKind) (n int, err error) {
	err = a.eachRow(ctx, tenant, kind, func(meta.Identity) (bool, error) { n++; return true, nil })
	return n, err
}

// Holders returns the identities of the kinds for which holds is true, such as
// the members of a group or the holders of a policy. It reads all identities of
// these kinds.
func (a *Accounts) Holders(ctx context.Context, tenant meta.ID, holds func(*Identity) bool, kinds ...meta.IdentityKind) (all []Identity, err error) {
	for _, kind := range kinds {
		err := a.eachRow(ctx, tenant, kind, func(row meta.Identity) (bool, error) {
			i, err := a.openIdentity(row)
			if err == nil && holds(&i) {
				all = append(all, i)
			}
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ChangeIdentity applies change to an identity and returns the result. It calls
// change again when the identity was changed meanwhile. It returns the error of
// change. Other gateways see the result within CredentialTTL.
func (a *Accounts) ChangeIdentity(ctx context.Context, tenant meta.ID, kind meta.IdentityKind, name string, change func(*Identity) error) (Identity, error) {
	for c := (meta.Contest{}); ; {
		i, err := a.Identity(ctx, tenant, kind, name)
		if err != nil {
			return i, err
		}
		if err := change(&i); err != nil {
			return i, err
		}
		// change may have renamed it.
		if err := checkIdentity(&i); err != nil {
			return i, err
		}
		row, err := a.sealIdentity(i, i.revision+1)
		if err != nil {
			return i, err
		}
		err = a.Store.UpdateIdentity(ctx, row)
		switch {
		case errors.Is(err, meta.ErrConflict):
			if err := c.Again(ctx); err != nil {
				return i, concurrently(err)
			}
			continue
		case errors.Is(err, meta.ErrExists):
			return i, identityExists(kind, i.Name)
		case errors.Is(err, meta.ErrNotFound):
			return i, noSuchIdentity(kind, name)
		}
		a.forgetHolders(tenant)
		return i, identityError(err)
	}
}

// concurrently translates the error of meta.Contest.Again for IAM.
func concurrently(err error) error {
	if errors.Is(err, s3err.OperationAborted) {
		return s3err.ConcurrentModification
	}
	return meta.Coded(err)
}

// DeleteIdentity removes an identity as it was read: ConcurrentModification if
// it has changed since, DeleteConflict while it has access keys.
func (a *Accounts) DeleteIdentity(ctx context.Context, i Identity) error {
	err := a.Store.DeleteIdentity(ctx, i.ID, i.revision)
	switch {
	case errors.Is(err, meta.ErrConflict):
		return s3err.New(s3err.ConcurrentModification, "")
	case errors.Is(err, meta.ErrNotFound):
		return noSuchIdentity(i.Kind, i.Name)
	case errors.Is(err, meta.ErrNotEmpty):
		return s3err.New(s3err.DeleteConflict, "Cannot delete entity, must delete access keys first.")
	}
	a.forgetHolders(i.Tenant)
	return meta.Coded(err)
}
