// Package providers is several key providers as one: each has a name in the
// configuration, and the envelope around a wrapped secret names those that wrapped it.
//
// It asks only providers that the envelope names, and never tries another. It logs
// nothing and stores nothing.
package providers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

// slotTimeout bounds the wait for one provider where the envelope names another one too.
// A provider that hangs must not use up the time of the request that the other could
// serve.
const slotTimeout = 4 * time.Second

// Options are the providers and their parts.
type Options struct {
	// Providers are all that are configured, by name. The Set owns them and closes them.
	Providers map[string]encrypt.Provider
	// Default wraps new secrets.
	Default string
	// Second wraps them as well, so that either opens them, whichever is lost; empty: the
	// default alone wraps.
	Second string
	// Bare names the provider of secrets without an envelope, which a gateway wrapped
	// that had a key file and no list of providers; empty: there is none.
	Bare string
	// Failed is told when a provider did not open its slot and another one did; nil:
	// nobody is. It must be safe for concurrent use.
	Failed func(provider string, err error)
}

// Set is an encrypt.Provider over several. Its results are envelopes.
type Set struct {
	Options
	wraps []string // the providers that wrap, in the order of the slots
	// revoked are the providers that are not to be used, see Revoke.
	revoked atomic.Pointer[[]string]
}

var _ encrypt.Provider = (*Set)(nil)

// New returns the set of the options. Errors are about names.
func New(o Options) (*Set, error) {
	s := &Set{Options: o, wraps: []string{o.Default}}
	if o.Second != "" {
		s.wraps = append(s.wraps, o.Second)
	}
	if o.Second == o.Default {
		return nil, fmt.Errorf("provider %q cannot be its own second", o.Default)
	}
	for _, name := range append(slices.Sorted(maps.Keys(o.Providers)), o.Bare) {
		if name != "" && !encrypt.IsProviderName(name) {
			return nil, fmt.Errorf("%q is no name of a provider", name)
		}
	}
	for _, name := range append(slices.Clone(s.wraps), o.Bare) {
		if name != "" && o.Providers[name] == nil {
			return nil, fmt.Errorf("there is no provider %q", name)
		}
	}
	return s, nil
}

// Name returns the configured name of the default provider.
func (s *Set) Name() string { return s.Default }

// Has reports whether a provider of the name is configured.
func (s *Set) Has(name string) bool { return s.Providers[name] != nil }

// Revoke names the providers that are not used for seeds of buckets from now on, in place of
// those named before. They count as providers with a disabled key.
func (s *Set) Revoke(names []string) { s.revoked.Store(&names) }

// refused is an error if a provider is revoked. The system's seed is opened all the same: it
// lets operators sign in, who take a revocation back.
func (s *Set) refused(c encrypt.Context, name string) error {
	if names := s.revoked.Load(); names != nil && c.Purpose == "bucket" && slices.Contains(*names, name) {
		return fmt.Errorf("%w: the provider was revoked", encrypt.ErrKeyDisabled)
	}
	return nil
}

// Wrap implements encrypt.Provider. With a second provider both must answer: a secret
// that one alone can open would break the promise that either suffices.
func (s *Set) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	slots := make([]encrypt.Slot, len(s.wraps))
	for i, name := range s.wraps {
		if err := s.refused(c, name); err != nil {
			return nil, fmt.Errorf("provider %s: %w", name, err)
		}
		wrapped, err := s.Providers[name].Wrap(ctx, c, secret)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", name, err)
		}
		slots[i] = encrypt.Slot{Provider: name, Wrapped: wrapped}
	}
	return encrypt.SealEnvelope(c, secret, slots)
}

// slots are those of an envelope, or the one of a secret without.
func (s *Set) slots(wrapped []byte) ([]encrypt.Slot, error) {
	switch {
	case encrypt.IsEnvelope(wrapped):
		return encrypt.OpenEnvelope(wrapped)
	case s.Bare == "":
		return nil, fmt.Errorf("%w: it names no provider, and none is configured for what a key file wrapped before there was a list", encrypt.ErrCorrupt)
	}
	return []encrypt.Slot{{Provider: s.Bare, Wrapped: wrapped}}, nil
}

// Unwrap implements encrypt.Provider. It asks the named providers in turn until one
// answers.
func (s *Set) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	slots, err := s.slots(wrapped)
	if err != nil {
		return nil, err
	}
	var failed failures
	for i, slot := range slots {
		secret, err := s.open(ctx, c, slot, i == len(slots)-1)
		if ctx.Err() != nil && err != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, failure{slot.Provider, err})
			continue
		}
		if encrypt.IsEnvelope(wrapped) {
			if err := encrypt.ProveEnvelope(c, secret, wrapped); err != nil {
				clear(secret)
				return nil, err
			}
		}
		s.tell(failed)
		return secret, nil
	}
	return nil, failed.err()
}

// OpenEach opens every slot of wrapped whose provider is configured, and returns what came
// of each by name. It finds a provider that works and holds another key than it did.
func (s *Set) OpenEach(ctx context.Context, c encrypt.Context, wrapped []byte) (map[string]error, error) {
	slots, err := s.slots(wrapped)
	if err != nil {
		return nil, err
	}
	all := make(map[string]error, len(slots))
	for _, slot := range slots {
		if s.Providers[slot.Provider] == nil {
			continue
		}
		secret, err := s.open(ctx, c, slot, false)
		clear(secret)
		all[slot.Provider] = err
	}
	return all, ctx.Err()
}

// open has the named provider open its slot.
func (s *Set) open(ctx context.Context, c encrypt.Context, slot encrypt.Slot, last bool) ([]byte, error) {
	p := s.Providers[slot.Provider]
	if p == nil {
		return nil, fmt.Errorf("%w: no provider of that name is configured", encrypt.ErrKeyNotFound)
	}
	if err := s.refused(c, slot.Provider); err != nil {
		return nil, err
	}
	if last {
		return p.Unwrap(ctx, c, slot.Wrapped)
	}
	within, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	secret, err := p.Unwrap(within, c, slot.Wrapped)
	if err != nil && within.Err() != nil {
		err = fmt.Errorf("%w: no answer in %v", encrypt.ErrUnavailable, slotTimeout)
	}
	return secret, err
}

func (s *Set) tell(failed failures) {
	if s.Failed == nil {
		return
	}
	for _, f := range failed {
		s.Failed(f.provider, f.err)
	}
}

// KeyID joins the ids of all slots, each after the name of its provider.
func (s *Set) KeyID(wrapped []byte) (string, error) {
	slots, err := s.slots(wrapped)
	if err != nil {
		return "", err
	}
	ids := make([]string, len(slots))
	for i, slot := range slots {
		p := s.Providers[slot.Provider]
		if p == nil {
			ids[i] = slot.Provider + ":?"
			continue
		}
		id, err := p.KeyID(slot.Wrapped)
		if err != nil {
			return "", fmt.Errorf("provider %s: %w", slot.Provider, err)
		}
		ids[i] = slot.Provider + ":" + id
	}
	return strings.Join(ids, ","), nil
}

// Rewrap implements encrypt.Provider. The secret is seen here only if providers are added
// or removed, or if there are two.
func (s *Set) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	slots, err := s.slots(wrapped)
	if err != nil {
		return nil, err
	}
	if len(slots) == 1 && len(s.wraps) == 1 && slots[0].Provider == s.Default {
		again, err := s.Providers[s.Default].Rewrap(ctx, c, slots[0].Wrapped)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", s.Default, err)
		}
		return encrypt.SealEnvelope(c, nil, []encrypt.Slot{{Provider: s.Default, Wrapped: again}})
	}
	secret, err := s.Unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return s.Wrap(ctx, c, secret)
}

// Check checks every provider that is configured.
func (s *Set) Check(ctx context.Context) error {
	var failed failures
	for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
		if err := s.Providers[name].Check(ctx); err != nil {
			failed = append(failed, failure{name, err})
		}
	}
	if len(failed) > 0 && ctx.Err() != nil {
		return ctx.Err()
	}
	return failed.err()
}

// Close closes every provider.
func (s *Set) Close() error {
	var errs []error
	for _, p := range s.Providers {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

type failure struct {
	provider string
	err      error
}

// failures are of the providers that were asked.
type failures []failure

// err is one error of one kind for all of them: first the kinds that pass, so that a key
// lost to one provider is not taken for the loss of all while another is only away; then
// those that somebody must look into.
func (fs failures) err() error {
	if len(fs) == 0 {
		return nil
	}
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = fmt.Sprintf("provider %s: %v", f.provider, f.err)
	}
	text := strings.Join(texts, "; ")
	for _, kind := range kinds {
		for _, f := range fs {
			if errors.Is(f.err, kind) && (kind != encrypt.ErrUnavailable || !errors.Is(f.err, encrypt.ErrDenied)) {
				return fmt.Errorf("%w (%s)", kind, text)
			}
		}
	}
	return errors.New(text)
}

// kinds are the kinds of errors, in the order in which the set prefers them.
var kinds = []error{
	encrypt.ErrUnavailable, encrypt.ErrDenied, encrypt.ErrKeyDisabled,
	encrypt.ErrWrongKey, encrypt.ErrCorrupt, encrypt.ErrKeyNotFound,
}
