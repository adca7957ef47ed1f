package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// directoryTTL is the age of the directory from which it is read again for an
// unknown name.
const directoryTTL = 2 * time.Second

// directory maps the names that are derived from tenants' ids to the tenants.
type directory struct {
	mu        sync.Mutex
	read      time.Duration // by Elapsed
	canonical map[string]meta.Tenant
	account   map[string]meta.Tenant
}

// find looks up a name. If it is unknown and the directory is old, it reads all
// tenants. A tenant that it returns exists now.
func (a *Accounts) find(ctx context.Context, name string, names func(*directory) map[string]meta.Tenant) (meta.Tenant, error) {
	d := &a.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := names(d)[name]
	// The lock is held while tenants are read, so that concurrent requests with
	// unknown names read them once.
	if now := a.Elapsed(); !ok && (d.canonical == nil || now-d.read > directoryTTL) {
		if err := a.readDirectory(ctx); err != nil {
			return meta.Tenant{}, err
		}
		d.read = now
		t, ok = names(d)[name]
	}
	if !ok {
		return meta.Tenant{}, nil
	}
	// The directory may be old, so the tenant may have been removed or changed
	// since.
	t, err := a.Existing(ctx, t.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{}, nil
	}
	return t, meta.Coded(err)
}

// readDirectory reads all tenants. The lock is held.
func (a *Accounts) readDirectory(ctx context.Context) error {
	canonical, account := make(map[string]meta.Tenant), make(map[string]meta.Tenant)
	for after := ""; ; {
		page, err := a.Store.ListTenants(ctx, after, meta.MaxPage)
		if err != nil {
			return meta.Coded(err)
		}
		for _, t := range page {
			canonical[t.ID.Canonical()], account[Account(t.ID)] = t, t
			after = t.Name
		}
		if len(page) < meta.MaxPage {
			break
		}
	}
	a.directory.canonical, a.directory.account = canonical, account
	return nil
}

// forgetDirectory makes a tenant that this process created known at once.
func (a *Accounts) forgetDirectory() {
	a.directory.mu.Lock()
	a.directory.canonical, a.directory.account = nil, nil
	a.directory.mu.Unlock()
}

// TenantByCanonical returns the tenant with a canonical user id, as in ACLs;
// the zero Tenant when there is none.
func (a *Accounts) TenantByCanonical(ctx context.Context, id string) (meta.Tenant, error) {
	return a.find(ctx, id, func(d *directory) map[string]meta.Tenant { return d.canonical })
}

// TenantByAccount returns the tenant with an account number; the zero Tenant
// when there is none.
func (a *Accounts) TenantByAccount(ctx context.Context, number string) (meta.Tenant, error) {
	return a.find(ctx, number, func(d *directory) map[string]meta.Tenant { return d.account })
}

// Tenant returns a tenant by its id. For one that is gone, only the id is set.
func (a *Accounts) Tenant(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	t, err := a.Existing(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{ID: id}, nil
	}
	return t, meta.Coded(err)
}

// NamedPrincipal is the principal that a policy's name means.
type NamedPrincipal struct {
	Exists bool
	// Kind and ID are those of the user or role that has the name now. The
	// policy means that one, and not a later one with the name. Zero for
	// others.
	Kind meta.IdentityKind
	ID   meta.ID
	// Session is the name of a session of the role in Kind and ID.
	Session string
}

// FindPrincipal finds the principal that a policy names: by an account number,
// a canonical id, or an ARN of a root, user, role, assumed role or provider. An
// ARN must be exactly the principal's own, including its path and case.
func (a *Accounts) FindPrincipal(ctx context.Context, name string) (p NamedPrincipal, err error) {
	if !strings.HasPrefix(name, "arn:") {
		find := a.TenantByCanonical
		if len(name) == accountDigits {
			find = a.TenantByAccount
		}
		t, err := find(ctx, name)
		return NamedPrincipal{Exists: !t.ID.IsZero()}, err
	}
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 {
		return p, nil
	}
	t, err := a.TenantByAccount(ctx, parts[4])
	if err != nil || t.ID.IsZero() {
		return p, err
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	slash := strings.LastIndexByte(rest, '/')
	path, name, of := "/"+rest[:slash+1], rest[slash+1:], meta.IdentityRole
	switch kind {
	case "root":
		return NamedPrincipal{Exists: rest == ""}, nil
	case "role":
	case "user":
		of = meta.IdentityUser
	case "assumed-role":
		path = "" // the ARN does not have it
		name, p.Session, _ = strings.Cut(rest, "/")
	case "oidc-provider":
		path, name, of = "", rest, meta.IdentityProvider
	default:
		return NamedPrincipal{}, nil
	}
	i, err := a.Identity(ctx, t.ID, of, name)
	if errors.Is(err, s3err.NoSuchEntity) {
		return NamedPrincipal{}, nil
	} else if err != nil {
		return NamedPrincipal{}, err
	}
	// Identity finds a name in any case, but a policy names a principal exactly.
	if i.Name != name || path != "" && path != max(i.Path, "/") {
		return NamedPrincipal{}, nil
	}
	if p.Exists = true; of != meta.IdentityProvider {
		p.Kind, p.ID = of, i.ID
	}
	return p, nil
}
