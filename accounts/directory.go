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

// directoryTTL is how old the directory may be when somebody is not found in it.
const directoryTTL = 2 * time.Second

// directory finds tenants by the names that are derived from their ids.
type directory struct {
	mu        sync.Mutex
	read      time.Duration // by elapsed; zero: never
	canonical map[string]meta.Tenant
	account   map[string]meta.Tenant
}

// find looks a name up, and reads all tenants when it is not there and the last
// reading is old. A tenant that was found must still be there.
func (a *Accounts) find(ctx context.Context, name string, names func(*directory) map[string]meta.Tenant) (meta.Tenant, error) {
	d := &a.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := names(d)[name]
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
	t, err := a.Existing(ctx, t.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{}, nil
	}
	return t, meta.Coded(err)
}

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

// forgetDirectory makes a tenant that this process made known at once.
func (a *Accounts) forgetDirectory() {
	a.directory.mu.Lock()
	a.directory.canonical, a.directory.account = nil, nil
	a.directory.mu.Unlock()
}

// TenantByCanonical finds a tenant by its canonical user id, as ACLs name it; the
// zero Tenant when there is none.
func (a *Accounts) TenantByCanonical(ctx context.Context, id string) (meta.Tenant, error) {
	return a.find(ctx, id, func(d *directory) map[string]meta.Tenant { return d.canonical })
}

// TenantByAccount finds a tenant by its account number; the zero Tenant when
// there is none.
func (a *Accounts) TenantByAccount(ctx context.Context, number string) (meta.Tenant, error) {
	return a.find(ctx, number, func(d *directory) map[string]meta.Tenant { return d.account })
}

// Tenant finds a tenant by its id; the zero Tenant, with the id, when it is gone.
func (a *Accounts) Tenant(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	t, err := a.Existing(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{ID: id}, nil
	}
	return t, meta.Coded(err)
}

// NamedPrincipal is whom a policy names.
type NamedPrincipal struct {
	Exists bool
	// Kind and ID are of a user or role that exists by that name now: the policy
	// means that one, not whoever has the name later. Zero for others.
	Kind meta.IdentityKind
	ID   meta.ID
	// Session is the name of a session, which is the role's that Kind and ID are of.
	Session string
}

// FindPrincipal finds whom a policy names: an account number, a canonical id, or an ARN of
// a root, user, role, assumed role or provider, which must be the very one that the
// principal has: with its path, and in its case.
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
		path = "" // it is not said
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
	if i.Name != name || path != "" && path != max(i.Path, "/") {
		return NamedPrincipal{}, nil
	}
	if p.Exists = true; of != meta.IdentityProvider {
		p.Kind, p.ID = of, i.ID
	}
	return p, nil
}
