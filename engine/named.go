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
	t, err := e.store.Tenant(ctx, t.ID)
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
	t, err := e.store.Tenant(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return meta.Tenant{ID: id}, nil
	}
	return t, storeError(err)
}

// PrincipalExists reports whether somebody whom a policy names exists: an account
// number, an ARN of a root, user, role or assumed role, or a canonical id. What
// names no single principal of this deployment, such as a service, is taken as
// given.
func (e *Engine) PrincipalExists(ctx context.Context, name string) (bool, error) {
	if !strings.HasPrefix(name, "arn:") {
		find := e.TenantByCanonical
		if len(name) == accountDigits {
			find = e.TenantByAccount
		}
		t, err := find(ctx, name)
		return !t.ID.IsZero(), err
	}
	parts := strings.SplitN(name, ":", 6)
	if len(parts) != 6 {
		return false, nil
	}
	t, err := e.TenantByAccount(ctx, parts[4])
	if err != nil || t.ID.IsZero() {
		return false, err
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	if kind == "root" {
		return true, nil
	}
	of := meta.IdentityUser
	switch kind {
	case "user":
		rest = rest[strings.LastIndexByte(rest, '/')+1:]
	case "role":
		rest, of = rest[strings.LastIndexByte(rest, '/')+1:], meta.IdentityRole
	case "assumed-role":
		rest, _, _ = strings.Cut(rest, "/")
		of = meta.IdentityRole
	default:
		return true, nil
	}
	_, err = e.store.Identity(ctx, t.ID, of, rest)
	if errors.Is(err, meta.ErrNotFound) {
		return false, nil
	}
	return err == nil, storeError(err)
}

// accountDigits is the length of an account number.
const accountDigits = 12
