package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// RootName is the name of the user who may do everything and cannot be removed.
const RootName = "root"

const (
	maxCachedCredentials = 10_000
	maxAccessKeys        = 10 // of one user
)

// What names and secrets may look like. Access keys stand in a credential scope
// and so must not hold a slash or a comma.
var (
	userNamePattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+=.@_-]{0,63}$`)
	accessKeyPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{3,128}$`)
	secretPattern    = regexp.MustCompile(`^[\x21-\x7e]{8,128}$`)
)

// Credential is an access key with its secret in the clear, and its user.
type Credential struct {
	User      meta.Tenant
	AccessKey string
	SecretKey string
}

// Format hides the secret from every fmt verb.
func (c Credential) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "credential %s", c.AccessKey) }

// credentialSlot holds the root credential that the environment gave.
type credentialSlot struct {
	mu sync.RWMutex
	c  *Credential
}

// SetRootCredential makes a credential from the environment root's. It is not
// stored.
func (e *Engine) SetRootCredential(accessKey, secretKey string) error {
	if err := checkCredential(accessKey, secretKey); err != nil {
		return err
	}
	e.rootCred.mu.Lock()
	e.rootCred.c = &Credential{User: e.root, AccessKey: accessKey, SecretKey: secretKey}
	e.rootCred.mu.Unlock()
	return nil
}

// EnsureRootCredential makes a root credential when the store has none, and
// says whether it did. One that exists is not returned.
func (e *Engine) EnsureRootCredential(ctx context.Context) (c Credential, created bool, err error) {
	keys, err := e.store.ListAccessKeys(ctx, e.root.ID)
	if err != nil || len(keys) > 0 {
		return c, false, storeError(err)
	}
	c, row, err := e.newCredential(e.root, "", "")
	if err != nil {
		return c, false, err
	}
	return c, true, storeError(e.store.CreateAccessKey(ctx, row))
}

// newCredential makes a credential and its sealed row; what is empty is
// generated.
func (e *Engine) newCredential(u meta.Tenant, accessKey, secretKey string) (Credential, meta.AccessKey, error) {
	if accessKey == "" {
		accessKey = "SG" + rand.Text()[:16]
	}
	if secretKey == "" {
		// 40 letters and digits, as clients expect: nothing that a shell or a
		// URL would take for its own.
		secretKey = rand.Text() + rand.Text()[:14]
	}
	c := Credential{User: u, AccessKey: accessKey, SecretKey: secretKey}
	if err := checkCredential(accessKey, secretKey); err != nil {
		return c, meta.AccessKey{}, err
	}
	return c, meta.AccessKey{
		ID: accessKey, User: u.ID, Created: e.now(),
		Secret: e.system.WrapSecret(accessKey, u.ID.String(), []byte(secretKey)),
	}, nil
}

func checkCredential(accessKey, secretKey string) error {
	if !accessKeyPattern.MatchString(accessKey) {
		return s3err.New(s3err.InvalidArgument, "An access key has 3 to 128 letters, digits, dots, dashes and underscores.")
	}
	if !secretPattern.MatchString(secretKey) {
		return s3err.New(s3err.InvalidArgument, "A secret key has 8 to 128 printable ASCII characters without spaces.")
	}
	return nil
}

// Credential finds the secret of an access key; InvalidAccessKeyId when there
// is none. The answer may be CredentialTTL old.
func (e *Engine) Credential(ctx context.Context, accessKey string) (Credential, error) {
	e.rootCred.mu.RLock()
	root := e.rootCred.c
	e.rootCred.mu.RUnlock()
	if root != nil && root.AccessKey == accessKey {
		return *root, nil
	}
	if c, ok := e.creds.get(accessKey); ok {
		return c, nil
	}
	row, err := e.store.AccessKey(ctx, accessKey)
	if errors.Is(err, meta.ErrNotFound) {
		return Credential{}, s3err.InvalidAccessKeyID
	} else if err != nil {
		return Credential{}, storeError(err)
	}
	u, err := e.store.Tenant(ctx, row.User)
	if errors.Is(err, meta.ErrNotFound) { // removed between the two reads
		return Credential{}, s3err.InvalidAccessKeyID
	} else if err != nil {
		return Credential{}, storeError(err)
	}
	secret, err := e.system.UnwrapSecret(row.ID, row.User.String(), row.Secret)
	if err != nil {
		return Credential{}, internal("open a secret key", err)
	}
	c := Credential{User: u, AccessKey: row.ID, SecretKey: string(secret)}
	e.creds.put(accessKey, c)
	return c, nil
}

// CreateTenant makes a user with a first credential. Residency is what it demands
// of the backends of its buckets, as SetResidency has it. Errors:
// InvalidArgument, EntityAlreadyExists.
func (e *Engine) CreateTenant(ctx context.Context, name, accessKey, secretKey, residency string) (Credential, error) {
	if !userNamePattern.MatchString(name) {
		return Credential{}, s3err.New(s3err.InvalidArgument, "A user name has 1 to 64 letters, digits and + = . @ _ - and begins with a letter or digit.")
	}
	if err := e.checkResidency(residency); err != nil {
		return Credential{}, err
	}
	u := meta.Tenant{ID: meta.NewID(), Name: name, Created: e.now(), Residency: residency}
	c, row, err := e.newCredential(u, accessKey, secretKey)
	if err != nil {
		return Credential{}, err
	}
	if err := e.refuseRootKey(accessKey); err != nil {
		return Credential{}, err
	}
	err = e.store.CreateTenant(ctx, u, row)
	if errors.Is(err, meta.ErrExists) {
		return Credential{}, s3err.New(s3err.EntityAlreadyExists, "The user name %q or its access key is taken.", name)
	}
	return c, storeError(err)
}

// SetResidency changes what a user demands of the backends of the buckets that
// it makes from now on: the name, region or jurisdiction of a configured
// backend, or nothing. Errors: InvalidArgument, NoSuchEntity.
func (e *Engine) SetResidency(ctx context.Context, name, residency string) error {
	if err := e.checkResidency(residency); err != nil {
		return err
	}
	u, err := e.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	err = e.store.SetResidency(ctx, u.ID, residency)
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchUser(name)
	}
	return storeError(err)
}

func (e *Engine) checkResidency(residency string) error {
	if residency == "" || e.HasPlace(residency) {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "No backend has the name, region or jurisdiction %q.", residency).
		With("ArgumentName", "residency").With("ArgumentValue", residency)
}

// refuseRootKey keeps a stored access key from being shadowed by root's.
func (e *Engine) refuseRootKey(accessKey string) error {
	e.rootCred.mu.RLock()
	defer e.rootCred.mu.RUnlock()
	if e.rootCred.c != nil && e.rootCred.c.AccessKey == accessKey {
		return s3err.New(s3err.EntityAlreadyExists, "The access key is taken.")
	}
	return nil
}

// Users lists users in the order of their names.
func (e *Engine) Users(ctx context.Context, after string, limit int) ([]meta.Tenant, error) {
	us, err := e.store.ListTenants(ctx, after, limit)
	return us, storeError(err)
}

// TenantByName finds a user, or NoSuchEntity.
func (e *Engine) TenantByName(ctx context.Context, name string) (meta.Tenant, error) {
	u, err := e.store.TenantByName(ctx, name)
	if errors.Is(err, meta.ErrNotFound) {
		return u, noSuchUser(name)
	}
	return u, storeError(err)
}

func noSuchUser(name string) error {
	return s3err.New(s3err.NoSuchEntity, "The user with name %s cannot be found.", name)
}

// DeleteTenant removes a user who owns no bucket, with its credentials.
func (e *Engine) DeleteTenant(ctx context.Context, name string) error {
	u, err := e.TenantByName(ctx, name)
	if err != nil {
		return err
	}
	if u.ID == e.root.ID {
		return s3err.New(s3err.InvalidArgument, "The root user cannot be removed.")
	}
	keys, err := e.store.ListAccessKeys(ctx, u.ID)
	if err != nil {
		return storeError(err)
	}
	err = e.store.DeleteTenant(ctx, u.ID)
	switch {
	case errors.Is(err, meta.ErrNotEmpty):
		return s3err.New(s3err.DeleteConflict, "The user %s still owns buckets.", name)
	case errors.Is(err, meta.ErrNotFound):
		return noSuchUser(name)
	}
	for _, k := range keys {
		e.creds.drop(k.ID)
	}
	return storeError(err)
}

// CreateAccessKey gives a user another credential.
func (e *Engine) CreateAccessKey(ctx context.Context, userName, accessKey, secretKey string) (Credential, error) {
	u, err := e.TenantByName(ctx, userName)
	if err != nil {
		return Credential{}, err
	}
	have, err := e.store.ListAccessKeys(ctx, u.ID)
	if err != nil {
		return Credential{}, storeError(err)
	}
	if len(have) >= maxAccessKeys {
		return Credential{}, s3err.New(s3err.LimitExceeded, "A user has at most %d access keys.", maxAccessKeys)
	}
	c, row, err := e.newCredential(u, accessKey, secretKey)
	if err != nil {
		return Credential{}, err
	}
	if err := e.refuseRootKey(accessKey); err != nil {
		return Credential{}, err
	}
	err = e.store.CreateAccessKey(ctx, row)
	switch {
	case errors.Is(err, meta.ErrExists):
		return Credential{}, s3err.New(s3err.EntityAlreadyExists, "The access key is taken.")
	case errors.Is(err, meta.ErrNotFound):
		return Credential{}, noSuchUser(userName)
	}
	return c, storeError(err)
}

// AccessKeys lists a user's credentials, without their secrets.
func (e *Engine) AccessKeys(ctx context.Context, userName string) ([]meta.AccessKey, error) {
	u, err := e.TenantByName(ctx, userName)
	if err != nil {
		return nil, err
	}
	keys, err := e.store.ListAccessKeys(ctx, u.ID)
	for i := range keys {
		keys[i].Secret = nil
	}
	return keys, storeError(err)
}

// DeleteAccessKey removes a credential, or NoSuchEntity. Other gateways may
// accept it for another CredentialTTL.
func (e *Engine) DeleteAccessKey(ctx context.Context, accessKey string) error {
	err := e.store.DeleteAccessKey(ctx, accessKey)
	if errors.Is(err, meta.ErrNotFound) {
		return s3err.New(s3err.NoSuchEntity, "The access key cannot be found.")
	}
	e.creds.drop(accessKey)
	return storeError(err)
}
