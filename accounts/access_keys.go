package accounts

import (
	"context"
	"crypto/fips140"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	maxAccessKeys = 10 // of a tenant's root; users have a limit of their own
)

// The forms of access keys and secrets. An access key is part of a credential
// scope, so that it cannot have a slash or a comma.
var (
	accessKeyPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{3,128}$`)
	secretPattern    = regexp.MustCompile(`^[\x21-\x7e]{8,128}$`)
)

// Credential is an access key with its secret in the clear, and its holder.
// Principal and Session are shared with other requests and must not be changed.
type Credential struct {
	Tenant    meta.Tenant
	AccessKey string
	SecretKey string
	Token     string    // of a new temporary credential
	Issued    time.Time // when a temporary credential was created
	Expires   time.Time // when a temporary credential expires; zero: never
	// Principal is the holder within the tenant.
	Principal *Principal
	// Session has the facts of a temporary credential's session; nil for a
	// permanent one.
	Session *SessionFacts
}

// Temporary reports whether the credential expires.
func (c *Credential) Temporary() bool { return !c.Expires.IsZero() }

// Format hides the secret from every fmt verb.
func (c Credential) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "credential %s", c.AccessKey) }

// credentialSlot holds the root credential from the environment.
type credentialSlot struct {
	mu sync.RWMutex
	c  *Credential
}

// SetRootCredential adds a credential from the environment to root's. It is not
// stored. While it is set, it hides a stored key with the same id. Errors:
// InvalidArgument.
func (a *Accounts) SetRootCredential(accessKey, secretKey string) error {
	if err := checkCredential(accessKey, secretKey); err != nil {
		return err
	}
	a.rootCred.mu.Lock()
	a.rootCred.c = &Credential{Tenant: a.root, AccessKey: accessKey, SecretKey: secretKey, Principal: rootPrincipal(a.root)}
	a.rootCred.mu.Unlock()
	return nil
}

// EnsureRootCredential creates a root credential if the store has none, and
// reports whether it did. An existing one is not returned. The secret is in
// this answer only. Two gateways that start at once over a new store may each
// create one, and both are valid.
func (a *Accounts) EnsureRootCredential(ctx context.Context) (c Credential, created bool, err error) {
	keys, err := a.Store.ListAccessKeys(ctx, a.root.ID)
	if err != nil || len(keys) > 0 {
		return c, false, meta.Coded(err)
	}
	c, row, err := a.newCredential(a.root, a.root.ID, "", "")
	if err != nil {
		return c, false, err
	}
	return c, true, meta.Coded(a.createAccessKey(ctx, row))
}

// newCredential makes a credential of a tenant's root or user, with its sealed
// row. Empty values are generated. The sealed secret is bound to the access key
// and its holder, so it does not open in another row.
func (a *Accounts) newCredential(t meta.Tenant, user meta.ID, accessKey, secretKey string) (Credential, meta.AccessKey, error) {
	if accessKey == "" {
		accessKey = "SG" + rand.Text()[:16]
	}
	if secretKey == "" {
		secretKey = newSecret()
	}
	c := Credential{Tenant: t, AccessKey: accessKey, SecretKey: secretKey}
	if err := checkCredential(accessKey, secretKey); err != nil {
		return c, meta.AccessKey{}, err
	}
	sealed, err := a.Records.WrapSecret(accessKey, user.String(), []byte(secretKey))
	// The record is made when the row is written.
	return c, meta.AccessKey{ID: accessKey, User: user, Created: a.Now(), Secret: sealed}, err
}

// checkCredential checks the form of a credential that an operator chose.
// Generated ones always pass. Errors: InvalidArgument.
func checkCredential(accessKey, secretKey string) error {
	if !accessKeyPattern.MatchString(accessKey) {
		return s3err.New(s3err.InvalidArgument, "An access key must have 3 to 128 letters, digits, dots, dashes and underscores.")
	}
	if !secretPattern.MatchString(secretKey) {
		return s3err.New(s3err.InvalidArgument, "A secret key must have 8 to 128 printable ASCII characters without spaces.")
	}
	if fips140.Enabled() && len(secretKey) < sigv4.MinApprovedSecret {
		return s3err.New(s3err.InvalidArgument, "A secret key must have at least %d characters in FIPS mode.", sigv4.MinApprovedSecret)
	}
	return nil
}

// newSecret returns 40 letters and digits, the length that clients expect,
// without characters that are special in a shell or a URL.
func newSecret() string { return rand.Text() + rand.Text()[:14] }

// Credential returns the secret of an access key and its holder. token is the
// session token of the request, or "". The answer may be CredentialTTL old.
// Errors: InvalidAccessKeyId when the key does not exist or is inactive;
// InvalidToken for a token that is not the key's; ExpiredToken.
func (a *Accounts) Credential(ctx context.Context, accessKey, token string) (Credential, error) {
	a.rootCred.mu.RLock()
	root := a.rootCred.c
	a.rootCred.mu.RUnlock()
	// It is compared before the store is asked, so that a stored key of the same
	// id cannot take its place.
	if root != nil && root.AccessKey == accessKey && token == "" {
		return *root, nil
	}
	if token != "" {
		return a.sessionCredential(ctx, accessKey, token)
	}
	return a.keyCredential(ctx, accessKey)
}

// accessKey is the proven content of an access key's row.
type accessKey struct {
	secret string
	user   meta.ID // the user; for root the tenant
}

// keyCredential returns the credential of a permanent access key. The key and
// its holder are remembered apart, so that one read of a user serves all of its
// keys and sessions.
func (a *Accounts) keyCredential(ctx context.Context, id string) (Credential, error) {
	k, ok := a.accessKeys.Get(id)
	if !ok {
		var err error
		if k, err = a.accessKeys.Load(id, func() (accessKey, error) { return a.readAccessKey(ctx, id) }); err != nil {
			return Credential{}, err
		}
	}
	h, err := a.holderOf(ctx, k.user, meta.IdentityUser)
	if err != nil {
		return Credential{}, err
	}
	return Credential{Tenant: h.tenant, AccessKey: id, SecretKey: k.secret, Principal: h.principal}, nil
}

// readAccessKey reads, proves and opens the row of an active access key.
// Errors: InvalidAccessKeyId if it is missing or inactive, records.ErrEdited.
func (a *Accounts) readAccessKey(ctx context.Context, id string) (k accessKey, err error) {
	row, err := a.Store.AccessKey(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return k, s3err.InvalidAccessKeyID
	} else if err != nil {
		return k, meta.Coded(err)
	}
	if err := a.proveAccessKey(&row); err != nil {
		return k, err
	}
	// After the proof: an editor of the store must not enable a key again.
	if row.Inactive {
		return k, s3err.InvalidAccessKeyID
	}
	secret, err := a.Records.UnwrapSecret(row.ID, row.User.String(), row.Secret)
	if err != nil {
		return k, fmt.Errorf("open a secret key: %w", err)
	}
	return accessKey{string(secret), row.User}, nil
}

// holder is the holder of credentials.
type holder struct {
	tenant    meta.Tenant
	principal *Principal
}

// holderOf is credentialHolder, up to CredentialTTL old.
func (a *Accounts) holderOf(ctx context.Context, id meta.ID, kind meta.IdentityKind) (holder, error) {
	h, ok := a.holders.Get(id)
	if !ok {
		var err error
		if h, err = a.readHolder(ctx, id, kind); err != nil {
			return h, err
		}
	}
	// Kind 0 is a tenant's root, whose keys are looked up as a user's because a
	// row has one column for both.
	if k := h.principal.Kind; k != kind && k != 0 {
		return h, s3err.InvalidAccessKeyID
	}
	return h, nil
}

// readHolder is credentialHolder, remembered. Of concurrent requests one reads
// and the others wait for it.
func (a *Accounts) readHolder(ctx context.Context, id meta.ID, kind meta.IdentityKind) (holder, error) {
	asked := a.holders.Now()
	within, done := meta.Patiently(ctx) // wait no longer than for a call of the store
	leave, err := a.readingHolders.Enter(within, id)
	done()
	if err != nil {
		return holder{}, meta.Coded(err)
	}
	defer leave()
	// A request that had a turn before may have read it.
	if h, ok := a.holders.GetSince(id, asked); ok {
		return h, nil
	}
	return a.holders.Load(id, func() (holder, error) { return a.credentialHolder(ctx, id, kind) })
}

// forgetHolders makes the next requests read the users and roles of a tenant
// again. It forgets all of them, because a change of a group or policy alters
// every holder that refers to it.
func (a *Accounts) forgetHolders(tenant meta.ID) {
	a.holders.DropIf(func(_ meta.ID, h holder) bool { return h.tenant.ID == tenant })
}

// credentialHolder reads a tenant's root, or a user or role, and its tenant. A
// holder that does not exist was removed after the credential was read:
// InvalidAccessKeyId.
func (a *Accounts) credentialHolder(ctx context.Context, id meta.ID, kind meta.IdentityKind) (h holder, err error) {
	// The user column of root's keys has the tenant's id.
	t, err := a.Existing(ctx, id)
	if err == nil {
		return holder{t, rootPrincipal(t)}, nil
	}
	if !errors.Is(err, meta.ErrNotFound) {
		return h, meta.Coded(err)
	}
	found, broken, err := a.IdentitiesByID(ctx, []meta.ID{id})
	if err != nil {
		return h, err
	}
	if err := broken[id]; err != nil {
		return h, fmt.Errorf("read the holder of a credential: %w", err)
	}
	i, ok := found[id]
	if !ok || i.Kind != kind {
		return h, s3err.InvalidAccessKeyID
	}
	if h.tenant, err = a.Existing(ctx, i.Tenant); errors.Is(err, meta.ErrNotFound) {
		return h, s3err.InvalidAccessKeyID
	} else if err != nil {
		return h, meta.Coded(err)
	}
	h.principal, err = a.principalOf(ctx, i)
	return h, err
}

// refuseRootKey refuses an access key that root's credential from the
// environment would hide.
func (a *Accounts) refuseRootKey(accessKey string) error {
	a.rootCred.mu.RLock()
	defer a.rootCred.mu.RUnlock()
	if a.rootCred.c != nil && a.rootCred.c.AccessKey == accessKey {
		return s3err.New(s3err.EntityAlreadyExists, "The access key is taken.")
	}
	return nil
}

// CreateAccessKey creates a credential for a user, or for a tenant's root,
// whose id is the tenant's. Errors: InvalidArgument, LimitExceeded,
// EntityAlreadyExists, NoSuchEntity.
func (a *Accounts) CreateAccessKey(ctx context.Context, t meta.Tenant, user meta.ID, accessKey, secretKey string) (Credential, error) {
	have, err := a.Store.ListAccessKeys(ctx, user)
	if err != nil {
		return Credential{}, meta.Coded(err)
	}
	most := MaxUserKeys
	if user == t.ID {
		most = maxAccessKeys
	}
	if len(have) >= most {
		return Credential{}, s3err.New(s3err.LimitExceeded, "Cannot exceed quota for AccessKeysPerUser: %d", most)
	}
	c, row, err := a.newCredential(t, user, accessKey, secretKey)
	if err != nil {
		return Credential{}, err
	}
	if err := a.refuseRootKey(accessKey); err != nil {
		return Credential{}, err
	}
	err = a.createAccessKey(ctx, row)
	switch {
	case errors.Is(err, meta.ErrExists):
		return Credential{}, s3err.New(s3err.EntityAlreadyExists, "The access key is taken.")
	case errors.Is(err, meta.ErrNotFound):
		return Credential{}, s3err.New(s3err.NoSuchEntity, "The user cannot be found.")
	}
	return c, meta.Coded(err)
}

// createAccessKey writes a new credential's row with its record.
func (a *Accounts) createAccessKey(ctx context.Context, row meta.AccessKey) error {
	ctx, sealing, done, err := a.SealAs(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := a.sealAccessKey(sealing, &row); err != nil {
		return err
	}
	return a.Store.CreateAccessKey(ctx, row)
}

// AccessKeys lists the credentials of a user, or of a tenant's root, without
// secrets. One edited row makes the whole answer an error: records.ErrEdited.
func (a *Accounts) AccessKeys(ctx context.Context, user meta.ID) ([]meta.AccessKey, error) {
	keys, err := a.Store.ListAccessKeys(ctx, user)
	for i := range keys {
		if err := a.proveAccessKey(&keys[i]); err != nil {
			return nil, err
		}
		keys[i].Secret = nil
	}
	return keys, meta.Coded(err)
}

// AccessKeyHolder returns the user, or for root the tenant, that a credential
// belongs to; NoSuchEntity.
func (a *Accounts) AccessKeyHolder(ctx context.Context, accessKey string) (meta.ID, error) {
	row, err := a.Store.AccessKey(ctx, accessKey)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.ID{}, noSuchAccessKey(accessKey)
	}
	if err == nil {
		err = a.proveAccessKey(&row)
	}
	return row.User, meta.Coded(err)
}

// noSuchAccessKey is the error that clients of IAM decide by: its code and text
// are those of AWS.
func noSuchAccessKey(accessKey string) error {
	return s3err.New(s3err.NoSuchEntity, "The Access Key with id %s cannot be found.", accessKey)
}

// SetAccessKeyInactive disables or enables a credential; NoSuchEntity. Other
// gateways see it within CredentialTTL.
func (a *Accounts) SetAccessKeyInactive(ctx context.Context, accessKey string, inactive bool) error {
	err := a.updateAccessKey(ctx, accessKey, inactive)
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchAccessKey(accessKey)
	}
	// Also after other errors, because the change may have happened although the
	// answer was lost.
	a.accessKeys.Drop(accessKey)
	return meta.Coded(err)
}

// updateAccessKey repeats the change while others change the row. The store
// compares the row with the one that was read, so that no change by another
// gateway is undone.
func (a *Accounts) updateAccessKey(ctx context.Context, accessKey string, inactive bool) error {
	for c := (meta.Contest{}); ; {
		was, err := a.Store.AccessKey(ctx, accessKey)
		if err == nil {
			err = a.proveAccessKey(&was)
		}
		if err != nil {
			return err
		}
		now := was
		now.Inactive = inactive
		// Each try takes the sealing anew, so that it is not held during the pause.
		once, sealing, done, err := a.SealAs(ctx)
		if err != nil {
			return err
		}
		if err = a.sealAccessKey(sealing, &now); err == nil {
			err = a.Store.UpdateAccessKey(once, was, now)
		}
		done()
		if !errors.Is(err, meta.ErrConflict) {
			return err
		}
		if err := c.Again(ctx); err != nil {
			return concurrently(err)
		}
	}
}

// DeleteAccessKey removes a credential; NoSuchEntity. Other gateways may accept
// it for another CredentialTTL.
func (a *Accounts) DeleteAccessKey(ctx context.Context, accessKey string) error {
	err := a.Store.DeleteAccessKey(ctx, accessKey)
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchAccessKey(accessKey)
	}
	// Also after other errors, because the row may be gone although the answer was
	// lost.
	a.accessKeys.Drop(accessKey)
	return meta.Coded(err)
}
