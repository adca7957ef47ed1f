package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/meta"
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
func (e *Engine) find(ctx context.Context, name string, names func(*directory) map[string]meta.Tenant) (meta.Tenant, error) {
	d := &e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := names(d)[name]
	if now := e.elapsed(); !ok && (d.canonical == nil || now-d.read > directoryTTL) {
		if err := e.readDirectory(ctx); err != nil {
			return meta.Tenant{}, err
		}
		d.read = now
		t, ok = names(d)[name]
	}
	if !ok {
		return meta.Tenant{}, nil
	}
	t, err := e.tenant(ctx, t.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{}, nil
	}
	return t, storeError(err)
}

func (e *Engine) readDirectory(ctx context.Context) error {
	canonical, account := make(map[string]meta.Tenant), make(map[string]meta.Tenant)
	for after := ""; ; {
		page, err := e.store.ListTenants(ctx, after, meta.MaxPage)
		if err != nil {
			return storeError(err)
		}
		for _, t := range page {
			canonical[t.ID.Canonical()], account[Account(t.ID)] = t, t
			after = t.Name
		}
		if len(page) < meta.MaxPage {
			break
		}
	}
	e.directory.canonical, e.directory.account = canonical, account
	return nil
}

// forgetDirectory makes a tenant that this process made known at once.
func (e *Engine) forgetDirectory() {
	e.directory.mu.Lock()
	e.directory.canonical, e.directory.account = nil, nil
	e.directory.mu.Unlock()
}

// TenantByCanonical finds a tenant by its canonical user id, as ACLs name it; the
// zero Tenant when there is none.
func (e *Engine) TenantByCanonical(ctx context.Context, id string) (meta.Tenant, error) {
	return e.find(ctx, id, func(d *directory) map[string]meta.Tenant { return d.canonical })
}

// TenantByAccount finds a tenant by its account number; the zero Tenant when
// there is none.
func (e *Engine) TenantByAccount(ctx context.Context, number string) (meta.Tenant, error) {
	return e.find(ctx, number, func(d *directory) map[string]meta.Tenant { return d.account })
}

// Tenant finds a tenant by its id; the zero Tenant, with the id, when it is gone.
func (e *Engine) Tenant(ctx context.Context, id meta.ID) (meta.Tenant, error) {
	t, err := e.tenant(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{ID: id}, nil
	}
	return t, storeError(err)
}

// NamedPrincipal is whom a policy names.
type NamedPrincipal struct {
	Exists bool
	// Kind and ID are of a user or role that exists by that name now: the policy
	// means that one, not whoever has the name later. Zero for others.
	Kind meta.IdentityKind
	ID   meta.ID
}

// Principal finds whom a policy names: an account number, an ARN of a root, user,
// role or assumed role, or a canonical id. What names no single principal of this
// deployment, such as a service, is taken as given.
func (e *Engine) Principal(ctx context.Context, name string) (p NamedPrincipal, err error) {
	if !strings.HasPrefix(name, "arn:") {
		find := e.TenantByCanonical
		if len(name) == accountDigits {
			find = e.TenantByAccount
		}
		t, err := find(ctx, name)
		return NamedPrincipal{Exists: !t.ID.IsZero()}, err
	}
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 {
		return p, nil
	}
	t, err := e.TenantByAccount(ctx, parts[4])
	if err != nil || t.ID.IsZero() {
		return p, err
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	of := meta.IdentityRole
	switch kind {
	case "user":
		rest, of = rest[strings.LastIndexByte(rest, '/')+1:], meta.IdentityUser
	case "role":
		rest = rest[strings.LastIndexByte(rest, '/')+1:]
	case "assumed-role":
		rest, _, _ = strings.Cut(rest, "/")
	default:
		return NamedPrincipal{Exists: true}, nil
	}
	i, err := e.store.Identity(ctx, t.ID, of, rest)
	if err == nil {
		_, err = e.openIdentity(i)
	}
	if errors.Is(err, meta.ErrNotFound) {
		return p, nil
	} else if err != nil {
		return p, storeError(err)
	}
	if p.Exists = true; kind != "assumed-role" {
		p.Kind, p.ID = of, i.ID
	}
	return p, nil
}

// accountDigits is the length of an account number.
const accountDigits = 12
