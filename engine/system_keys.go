package engine

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// systemSeedTimeout bounds one call of the key provider about the system's seed.
const systemSeedTimeout = 10 * time.Second

// systemKeys are the keys of the system's seed, for as long as the key provider gives it.
// Every request needs them, so watch asks the provider again in the background, long before
// they end: no request waits for it.
//
// A process that is never watched keeps them until it ends. It is a command, which is over
// soon, and no gateway.
type systemKeys struct {
	deployment encrypt.Deployment
	unwrap     func(context.Context) ([]byte, error)
	elapsed    func() time.Duration
	ttl        time.Duration
	log        *slog.Logger

	forget   func() // drops all that was opened with them
	held     atomic.Pointer[heldSystem]
	print    []byte // tells the deployment's seed from another one
	watching sync.Mutex
}

// heldSystem are the system's keys at one time. It never changes.
type heldSystem struct {
	keys   *encrypt.SystemKeys // nil: they were dropped
	why    error               // with the code that clients are told
	opened time.Duration       // when the provider was last asked and gave the seed, by elapsed
	until  time.Duration       // 0: they are not watched
}

// errSystemAged: the provider was not heard of for as long as keys are remembered.
var errSystemAged = s3err.Wrap(s3err.ServiceUnavailable, errors.New("the key provider has not given the system's seed for longer than keys.cache"))

func newSystemKeys(seed encrypt.Seed, deployment encrypt.Deployment, c *Config, unwrap func(context.Context) ([]byte, error)) *systemKeys {
	s := &systemKeys{
		deployment: deployment, unwrap: unwrap, elapsed: c.Elapsed, ttl: c.KeysCache, log: c.Log, print: printOf(seed),
	}
	s.held.Store(&heldSystem{keys: s.derive(seed), opened: s.elapsed()})
	return s
}

func (s *systemKeys) derive(seed encrypt.Seed) *encrypt.SystemKeys {
	return encrypt.DeriveSystemKeys(seed, s.deployment, systemGeneration)
}

// printOf is the same for the same seed, and tells nothing of it.
func printOf(seed encrypt.Seed) []byte { return derived(seed, "sanctum/1/seed-print") }

// keys returns the keys as long as they may be used. It calls no provider.
func (s *systemKeys) keys() (*encrypt.SystemKeys, error) {
	h := s.held.Load()
	switch {
	case h.keys == nil:
		return nil, h.why
	case h.until > 0 && s.elapsed() > h.until:
		return nil, errSystemAged
	}
	return h.keys, nil
}

// watch asks the provider for the seed when half of the time is over for which the last
// answer holds. A key that was taken away ends the keys at once, and a provider that is away
// ends them with their time. They are back with the first call that gives the seed again.
func (s *systemKeys) watch(ctx context.Context) error {
	s.watching.Lock()
	defer s.watching.Unlock()
	h, now := s.held.Load(), s.elapsed()
	if h.keys != nil && h.until == 0 {
		h = &heldSystem{keys: h.keys, opened: h.opened, until: h.opened + s.ttl}
		s.held.Store(h)
	}
	if h.keys != nil && now < h.opened+s.ttl/2 {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, systemSeedTimeout)
	defer cancel()
	raw, err := s.unwrap(within)
	defer clear(raw)
	if err == nil && (len(raw) != len(encrypt.Seed{}) || subtle.ConstantTimeCompare(printOf(encrypt.Seed(raw)), s.print) != 1) {
		err = errors.New("the key provider returned another seed than the deployment's")
	}
	switch {
	case err == nil:
		if h.keys == nil {
			s.log.Info("the key provider gives the system's seed again")
		}
		// Counted from before the call: the key may have been taken away since.
		s.held.Store(&heldSystem{keys: s.derive(encrypt.Seed(raw)), opened: now, until: now + s.ttl})
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case within.Err() != nil:
		err = fmt.Errorf("%w: no answer in %v", encrypt.ErrUnavailable, systemSeedTimeout)
	}
	if h.keys != nil && errors.Is(err, encrypt.ErrUnavailable) && now <= h.until {
		return fmt.Errorf("ask for the system's seed: %w", err)
	}
	s.drop(h, err)
	return fmt.Errorf("ask for the system's seed: %w", err)
}

// drop ends the keys, with all that was opened with them.
func (s *systemKeys) drop(h *heldSystem, why error) {
	why = buckets.OfProvider("open the system's seed", plainly(why))
	s.held.Store(&heldSystem{why: why, opened: h.opened})
	s.forget()
	if h.keys != nil {
		s.log.Error("the key provider does not give the system's seed any more; requests are refused until it does", "error", why)
	}
}

// plainly keeps of an error of the provider the kinds that clients are told of. The other ones
// would be taken for damage of the rows that the keys are to open.
func plainly(err error) error {
	for _, kind := range []error{encrypt.ErrUnavailable, encrypt.ErrKeyDisabled, encrypt.ErrKeyNotFound} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w (%s)", kind, err.Error())
		}
	}
	return errors.New(err.Error())
}

// WatchKeys has the system's keys end when their key was taken away. It is called every few
// seconds.
func (e *Engine) WatchKeys(ctx context.Context) error { return e.system.watch(ctx) }

// WatchRevocations reads which keys are revoked. It is called every few seconds.
func (e *Engine) WatchRevocations(ctx context.Context) error { return e.revocations.look(ctx) }

// systemSeed has the provider open the system's seed, as this process read it last. The seed
// may have been rewrapped since, and the key taken away that it was under before.
func (e *Engine) systemSeed(ctx context.Context) (seed []byte, err error) {
	was := *e.wrappedSeed.Load()
	if seed, err = e.unwrapSystem(ctx, was); err == nil {
		return seed, nil
	}
	now, readErr := e.Seeds().System(ctx)
	if readErr != nil || bytes.Equal(now.Wrapped, was) {
		return nil, err
	}
	if seed, err = e.unwrapSystem(ctx, now.Wrapped); err == nil {
		e.wrappedSeed.Store(&now.Wrapped)
	}
	return seed, err
}

func (e *Engine) unwrapSystem(ctx context.Context, wrapped []byte) ([]byte, error) {
	return e.provider.Unwrap(ctx, SystemContext(meta.ID(e.deployment)), wrapped)
}
