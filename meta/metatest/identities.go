package metatest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
)

// identity returns an identity that is not stored yet.
func (f *fixture) identity(tenant meta.ID, kind meta.IdentityKind, name string) meta.Identity {
	return meta.Identity{ID: meta.NewID(), Tenant: tenant, Kind: kind, Name: name, Created: f.now, Revision: 1, Document: []byte("sealed " + name)}
}

func (f *fixture) newIdentity(tenant meta.ID, kind meta.IdentityKind, name string) meta.Identity {
	f.Helper()
	i := f.identity(tenant, kind, name)
	f.ok(f.s.CreateIdentity(f.ctx, i))
	return i
}

func testIdentities(f *fixture) {
	ann, _ := f.tenant("ann")
	bob, _ := f.tenant("bob")
	dev := f.newIdentity(ann.ID, meta.IdentityUser, "Dev.One")
	for _, name := range []string{"Dev.One", "dev.one", "DEV.ONE"} {
		got, err := f.s.Identity(f.ctx, ann.ID, meta.IdentityUser, name)
		f.ok(err)
		same(f, got, dev)
		f.is(f.s.CreateIdentity(f.ctx, f.identity(ann.ID, meta.IdentityUser, name)), meta.ErrExists)
	}
	twice := f.identity(ann.ID, meta.IdentityUser, "another")
	twice.ID = dev.ID
	f.is(f.s.CreateIdentity(f.ctx, twice), meta.ErrExists)
	f.is(f.s.CreateIdentity(f.ctx, f.identity(meta.NewID(), meta.IdentityUser, "x")), meta.ErrNotFound)
	for _, absent := range []func() (meta.Identity, error){
		func() (meta.Identity, error) { return f.s.Identity(f.ctx, ann.ID, meta.IdentityRole, "dev.one") },
		func() (meta.Identity, error) { return f.s.Identity(f.ctx, bob.ID, meta.IdentityUser, "dev.one") },
		func() (meta.Identity, error) { return f.s.Identity(f.ctx, ann.ID, meta.IdentityUser, "dev.on") },
	} {
		_, err := absent()
		f.is(err, meta.ErrNotFound)
	}
	// The name is free in another tenant and for another kind. So are names that
	// only Unicode folds to the same.
	role := f.newIdentity(ann.ID, meta.IdentityRole, "Dev.One")
	other := f.newIdentity(bob.ID, meta.IdentityUser, "Dev.One")
	f.newIdentity(ann.ID, meta.IdentityUser, "É")
	f.newIdentity(ann.ID, meta.IdentityUser, "é")

	got, err := f.s.IdentitiesByID(f.ctx, []meta.ID{other.ID, meta.NewID(), dev.ID, role.ID})
	f.ok(err)
	if len(got) != 3 {
		f.Fatalf("%d identities, want 3", len(got))
	}
	for _, want := range []meta.Identity{dev, role, other} {
		i := slices.IndexFunc(got, func(i meta.Identity) bool { return i.ID == want.ID })
		if i < 0 {
			f.Fatalf("%s is not among them", want.Name)
		}
		same(f, got[i], want)
	}
	got, err = f.s.IdentitiesByID(f.ctx, nil)
	f.ok(err)
	same(f, got, nil)
}

func testListIdentities(f *fixture) {
	ann, _ := f.tenant("ann")
	bob, _ := f.tenant("bob")
	for _, name := range []string{"b", "C", "a", "A-1", "a.1"} {
		f.newIdentity(ann.ID, meta.IdentityGroup, name)
		f.newIdentity(ann.ID, meta.IdentityUser, "user "+name)
	}
	f.newIdentity(bob.ID, meta.IdentityGroup, "aa")
	for _, limit := range []int{1, 2, 100} {
		var names []string
		for after := ""; ; {
			page, err := f.s.ListIdentities(f.ctx, ann.ID, meta.IdentityGroup, after, limit)
			f.ok(err)
			for _, i := range page {
				names = append(names, i.Name)
				after = i.Name
			}
			if len(page) < limit {
				break
			}
		}
		same(f, names, []string{"a", "A-1", "a.1", "b", "C"})
	}
}

func testChangeIdentity(f *fixture) {
	ann, _ := f.tenant("ann")
	dev := f.newIdentity(ann.ID, meta.IdentityUser, "dev")
	f.newIdentity(ann.ID, meta.IdentityUser, "ops")
	f.newIdentity(ann.ID, meta.IdentityRole, "free")

	stale := dev
	stale.Revision = 2
	f.is(f.s.UpdateIdentity(f.ctx, stale), meta.ErrConflict)
	f.is(f.s.UpdateIdentity(f.ctx, f.identity(ann.ID, meta.IdentityUser, "gone")), meta.ErrNotFound)
	taken := dev
	taken.Name = "OPS"
	f.is(f.s.UpdateIdentity(f.ctx, taken), meta.ErrExists)
	want := func() {
		f.Helper()
		got, err := f.s.Identity(f.ctx, ann.ID, meta.IdentityUser, dev.Name)
		f.ok(err)
		same(f, got, dev)
	}
	want()
	for _, name := range []string{"dev", "DEV", "free"} {
		dev.Name, dev.Document = name, append(dev.Document, 0)
		f.ok(f.s.UpdateIdentity(f.ctx, dev))
		dev.Revision++
		want()
	}
	_, err := f.s.Identity(f.ctx, ann.ID, meta.IdentityUser, "dev")
	f.is(err, meta.ErrNotFound)

	f.is(f.s.DeleteIdentity(f.ctx, dev.ID, dev.Revision-1), meta.ErrConflict)
	f.is(f.s.DeleteIdentity(f.ctx, meta.NewID(), 1), meta.ErrNotFound)
	key := meta.AccessKey{ID: "devs", User: dev.ID, Created: f.now}
	f.ok(f.s.CreateAccessKey(f.ctx, key))
	f.is(f.s.DeleteIdentity(f.ctx, dev.ID, dev.Revision), meta.ErrNotEmpty)
	f.ok(f.s.DeleteAccessKey(f.ctx, key.ID))
	f.ok(f.s.DeleteIdentity(f.ctx, dev.ID, dev.Revision))
	f.is(f.s.DeleteIdentity(f.ctx, dev.ID, dev.Revision), meta.ErrNotFound)
	f.is(f.s.CreateAccessKey(f.ctx, key), meta.ErrNotFound)
	again := f.newIdentity(ann.ID, meta.IdentityUser, "free")
	if again.ID == dev.ID {
		f.Fatal("an identity made again has the id of the last")
	}
}

// Of concurrent changes to an identity, only the first succeeds.
func testIdentityRaced(f *fixture) {
	ann, _ := f.tenant("ann")
	dev := f.newIdentity(ann.ID, meta.IdentityUser, "dev")
	const callers = 8
	errs := make([]error, callers)
	together(callers, func(i int) {
		mine := dev
		mine.Name = fmt.Sprint("dev", i)
		errs[i] = f.s.UpdateIdentity(f.ctx, mine)
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			f.is(err, meta.ErrConflict)
		}
	}
	if won != 1 {
		f.Fatalf("%d changes of one revision", won)
	}
	together(callers, func(i int) {
		errs[i] = f.s.CreateIdentity(f.ctx, f.identity(ann.ID, meta.IdentityUser, "name"))
	})
	won = 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			f.is(err, meta.ErrExists)
		}
	}
	if won != 1 {
		f.Fatalf("the name was given %d times", won)
	}
}

// A tenant is removed with its identities, and no access key outlives its user.
func testDeleteTenantWithIdentities(f *fixture) {
	ann, _ := f.tenant("ann")
	bob, _ := f.tenant("bob")
	dev := f.newIdentity(ann.ID, meta.IdentityUser, "dev")
	policy := f.newIdentity(ann.ID, meta.IdentityPolicy, "policy")
	kept := f.newIdentity(bob.ID, meta.IdentityUser, "dev")
	f.ok(f.s.CreateAccessKey(f.ctx, meta.AccessKey{ID: "devs", User: dev.ID, Created: f.now}))
	f.ok(f.s.CreateAccessKey(f.ctx, meta.AccessKey{ID: "kept", User: kept.ID, Created: f.now}))
	f.is(f.s.CreateAccessKey(f.ctx, meta.AccessKey{ID: "policys", User: policy.ID, Created: f.now}), meta.ErrNotFound)

	var more []meta.Identity
	for i := range meta.MaxBatch - 1 {
		more = append(more, f.newIdentity(ann.ID, meta.IdentityGroup, fmt.Sprint("group", i)))
	}
	f.is(f.s.DeleteTenant(f.ctx, ann.ID), meta.ErrLimit)
	_, err := f.s.AccessKey(f.ctx, "devs")
	f.ok(err)
	f.ok(f.s.DeleteIdentity(f.ctx, more[0].ID, 1))

	// Access keys that are created while the tenant is removed are refused, or
	// removed with it.
	const callers = 4
	errs := make([]error, callers)
	together(callers+1, func(i int) {
		if i == callers {
			if err := f.s.DeleteTenant(f.ctx, ann.ID); err != nil {
				f.Error(err)
			}
			return
		}
		errs[i] = f.s.CreateAccessKey(f.ctx, meta.AccessKey{ID: fmt.Sprint("late", i), User: dev.ID, Created: f.now})
	})
	for i, err := range errs {
		if err != nil {
			f.is(err, meta.ErrNotFound)
		}
		_, err = f.s.AccessKey(f.ctx, fmt.Sprint("late", i))
		f.is(err, meta.ErrNotFound)
	}
	_, err = f.s.AccessKey(f.ctx, "devs")
	f.is(err, meta.ErrNotFound)
	got, err := f.s.IdentitiesByID(f.ctx, []meta.ID{dev.ID, policy.ID, kept.ID})
	f.ok(err)
	same(f, got, []meta.Identity{kept})
	_, err = f.s.AccessKey(f.ctx, "kept")
	f.ok(err)
	f.is(f.s.CreateIdentity(f.ctx, f.identity(ann.ID, meta.IdentityUser, "dev")), meta.ErrNotFound)
}

func testIdentityLimits(f *fixture) {
	ann, _ := f.tenant("ann")
	only := func(_ any, err error) error { return err }
	with := func(change func(*meta.Identity)) meta.Identity {
		i := f.identity(ann.ID, meta.IdentityUser, "dev")
		change(&i)
		return i
	}
	long := strings.Repeat("n", meta.MaxIdentityName+1)
	largest := make([]byte, meta.MaxIdentity+1)
	nobody := with(func(i *meta.Identity) { i.Name = "" })
	endless := with(func(i *meta.Identity) { i.Name = long })
	silent := with(func(i *meta.Identity) { i.Document = nil })
	large := with(func(i *meta.Identity) { i.Document = largest })
	for name, err := range map[string]error{
		"no name":          f.s.CreateIdentity(f.ctx, nobody),
		"long name":        f.s.CreateIdentity(f.ctx, endless),
		"no document":      f.s.CreateIdentity(f.ctx, silent),
		"large document":   f.s.CreateIdentity(f.ctx, large),
		"no kind":          f.s.CreateIdentity(f.ctx, with(func(i *meta.Identity) { i.Kind = 0 })),
		"unknown kind":     f.s.CreateIdentity(f.ctx, with(func(i *meta.Identity) { i.Kind = meta.IdentityProvider + 1 })),
		"change to a long": f.s.UpdateIdentity(f.ctx, endless),
		"change to silent": f.s.UpdateIdentity(f.ctx, silent),
		"ids":              only(f.s.IdentitiesByID(f.ctx, make([]meta.ID, meta.MaxBatch+1))),
		"no rows":          only(f.s.ListIdentities(f.ctx, ann.ID, meta.IdentityUser, "", 0)),
		"rows":             only(f.s.ListIdentities(f.ctx, ann.ID, meta.IdentityUser, "", meta.MaxPage+1)),
		"limits":           f.updateTenant(ann.ID, func(u *meta.Tenant) { u.Limits = make([]byte, meta.MaxLimits+1) }),
	} {
		f.Log(name)
		f.is(err, meta.ErrLimit)
	}
	f.ok(f.s.CreateIdentity(f.ctx, with(func(i *meta.Identity) { i.Name, i.Document = long[1:], largest[1:] })))
	f.ok(only(f.s.IdentitiesByID(f.ctx, make([]meta.ID, meta.MaxBatch))))
}
