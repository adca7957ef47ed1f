//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"

	"golang.org/x/time/rate"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

const tenantsGroup = "tenants"

// Lanes of the group: what becomes of requests, and beside what a tenant works.
const (
	refusedLane   = "refused: 503 SlowDown"
	servedLane    = "served"
	besideRefused = "beside a tenant that is refused"
	besideServed  = "beside a tenant that is served"
	besideNobody  = "GET 4 KiB of a tenant that is alone"
)

var costsPair = [2]string{refusedLane, servedLane}

// Names of rows that others refer to.
const (
	refusedGetRow = "GET 4 KiB, beyond the tenant's limit"
	refusedPutRow = "PUT 4 KiB, beyond the tenant's limit"
	neighbourRow  = "GET 4 KiB, beside 500 a second of another tenant"
)

const (
	tenantClients = 8
	tenantObjects = 64
	// busyRate is how many requests a second the other tenant sends, refused or not.
	busyRate = 500
)

// The tenants. The limited one may send one request a second.
const (
	quietTenant   = "quiet"
	freeTenant    = "free"
	limitedTenant = "limited"
)

// tenants is what a tenant at its limit costs the others: processor time, since
// nothing else is shared before a request is let in.
func (b *bench) tenants() group {
	clients := make(map[string]*client)
	p := &payload{}
	get := func(tenant string) request {
		return func(ctx context.Context, _ int64) error {
			return clients[tenant].get(ctx, anyObject(tenant), 0, small, true)
		}
	}
	put := func(ctx context.Context, _ int64) error {
		return clients[freeTenant].put(ctx, anyObject(freeTenant), p, unsigned)
	}
	refuse := func(method string) request {
		return func(ctx context.Context, _ int64) error { return clients[limitedTenant].refused(ctx, method, p) }
	}
	lanes := func(refused, served request) func([]*server) []lane {
		return func(list []*server) []lane {
			return []lane{{name: refusedLane, process: list[0].Process, do: refused}, {name: servedLane, process: list[0].Process, do: served}}
		}
	}
	row := func(name string) row { return row{name: name, unit: perSecond, clients: tenantClients, size: small} }
	putRow := row(refusedPutRow)
	putRow.writes = true
	rows := []work{
		{row: row(refusedGetRow), pair: costsPair, lanes: lanes(refuse(http.MethodGet), get(freeTenant))},
		{row: putRow, pair: costsPair, lanes: lanes(refuse(http.MethodPut), put)},
		{row: row(neighbourRow), pair: [2]string{besideRefused, besideServed}, lanes: func([]*server) []lane {
			return []lane{
				{name: besideRefused, do: get(quietTenant), beside: busy(refuse(http.MethodGet))},
				{name: besideServed, do: get(quietTenant), beside: busy(get(freeTenant))},
				{name: besideNobody, do: get(quietTenant)},
			}
		}},
	}
	return group{name: tenantsGroup, pair: costsPair, rows: rows, start: func(ctx context.Context, dir string) ([]*server, error) {
		made, err := newPayload(dir, "payload", small)
		if err != nil {
			return nil, err
		}
		*p = *made
		s, err := b.startGateway(ctx, ours, filepath.Join(dir, ours))
		if err != nil {
			return nil, err
		}
		for _, tenant := range []string{quietTenant, freeTenant, limitedTenant} {
			if clients[tenant], err = s.newTenant(ctx, tenant, p); err != nil {
				return nil, errors.Join(err, s.close())
			}
		}
		if err := s.limitTenant(ctx, limitedTenant, meta.Limits{Requests: 1}); err != nil {
			return nil, errors.Join(err, s.close())
		}
		return []*server{s}, nil
	}}
}

func anyObject(tenant string) string {
	return fmt.Sprintf("/%s/%d", tenant, mathrand.IntN(tenantObjects))
}

// busy sends busyRate requests a second by several clients, until the context ends.
func busy(do request) func(context.Context) error {
	return func(ctx context.Context) error {
		pace := rate.NewLimiter(busyRate, 1)
		var wg sync.WaitGroup
		errs := make([]error, tenantClients)
		for i := range errs {
			wg.Go(func() {
				for errs[i] == nil && pace.Wait(ctx) == nil {
					if err := do(ctx, 0); err != nil && ctx.Err() == nil {
						errs[i] = err
					}
				}
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}

// refused sends a request of a tenant that may send but one a second.
func (c *client) refused(ctx context.Context, method string, p *payload) error {
	var body io.Reader
	var size int64
	if method == http.MethodPut {
		body, size = bytes.NewReader(p.data), p.size
	}
	res, err := c.answer(ctx, method, anyObject(limitedTenant), body, size, unsigned)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s by a tenant at its limit: %s", method, res.Status)
	}
	return nil
}

// newTenant makes a tenant with a bucket of its name, in which objects are.
func (s *server) newTenant(ctx context.Context, name string, p *payload) (*client, error) {
	c := newClient(s.base, "TENANT"+rand.Text()[:14], rand.Text()+rand.Text(), nil)
	if err := s.manage(ctx, http.MethodPost, "/v1/tenants", admin.CreateTenant{Name: name, AccessKey: c.access, SecretKey: c.secret}); err != nil {
		return nil, err
	}
	if err := c.createBucket(ctx, name); err != nil {
		return nil, err
	}
	for n := range tenantObjects {
		if err := c.put(ctx, fmt.Sprintf("/%s/%d", name, n), p, p.hash); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (s *server) limitTenant(ctx context.Context, name string, l meta.Limits) error {
	return s.manage(ctx, http.MethodPut, "/v1/tenants/"+name+"/limits", l)
}

// manage calls the admin API, whose answer does not matter.
func (s *server) manage(ctx context.Context, method, path string, in any) error {
	doc, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := s.admin.send(ctx, method, path, bytes.NewReader(doc), int64(len(doc)), sigv4.PayloadHash(doc), "Content-Type", "application/json")
	if err != nil {
		return err
	}
	return res.Body.Close()
}
