package keytest

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

// Fake is a provider over a service in memory, and the service. It is for tests of the
// code that uses providers.
//
//	wrapped = version(1) ‖ number of the key u32 ‖ wrap, with purpose "fake" and
//	AAD = encrypt.Context.Bytes()
type Fake struct {
	name string

	mu    sync.Mutex
	keys  [][32]byte // by number; nil after Close
	fault Fault
	calls int
}

var (
	_ encrypt.Provider = (*Fake)(nil)
	_ Service          = (*Fake)(nil)
)

const fakePrefix = 1 + 4

// fakeWait is how long the provider waits for its service.
const fakeWait = 50 * time.Millisecond

// NewFake returns a provider with one random key.
func NewFake(name string) *Fake {
	f := &Fake{name: name}
	f.Rotate()
	return f
}

// Rotate adds a key, which is the current one from now on.
func (f *Fake) Rotate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, encrypt.NewSeed())
}

// Set implements Service.
func (f *Fake) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Calls implements Service.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

// Words implements Service.
func (f *Fake) Words(fault Fault) []string {
	if fault == Denied {
		return []string{"permission"}
	}
	return nil
}

// Name implements encrypt.Provider.
func (f *Fake) Name() string { return f.name }

// ask counts a request and returns the keys, unless the service fails.
func (f *Fake) ask(ctx context.Context) ([][32]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.calls++
	keys, fault := f.keys, f.fault
	f.mu.Unlock()
	if keys == nil {
		return nil, fmt.Errorf("%s: closed: %w", f.name, encrypt.ErrUnavailable)
	}
	if fault == Slow {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(fakeWait):
		}
	}
	if fault == Works {
		return keys, nil
	}
	for _, row := range faults {
		if row.fault == fault {
			return nil, fmt.Errorf("%s: %w: no permission, or fault %s", f.name, row.want, row.name)
		}
	}
	panic(fmt.Sprintf("unknown fault %d", fault))
}

// Wrap implements encrypt.Provider.
func (f *Fake) Wrap(ctx context.Context, c encrypt.Context, secret []byte) ([]byte, error) {
	keys, err := f.ask(ctx)
	if err != nil {
		return nil, err
	}
	if len(secret) < encrypt.MinSecret || len(secret) > encrypt.MaxSecret {
		return nil, fmt.Errorf("%s: cannot wrap %d bytes", f.name, len(secret))
	}
	n := len(keys) - 1
	out := binary.BigEndian.AppendUint32([]byte{1}, uint32(n))
	return append(out, encrypt.Wrap(keys[n], c.Generation, "fake", c.Bytes(), secret)...), nil
}

// number returns the number of the key that wrapped names.
func (f *Fake) number(wrapped []byte) (uint32, error) {
	if len(wrapped) < fakePrefix+encrypt.WrapOverhead || wrapped[0] != 1 {
		return 0, fmt.Errorf("%s: %w", f.name, encrypt.ErrCorrupt)
	}
	return binary.BigEndian.Uint32(wrapped[1:]), nil
}

// Unwrap implements encrypt.Provider.
func (f *Fake) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	n, err := f.number(wrapped)
	if err != nil {
		return nil, err
	}
	keys, err := f.ask(ctx)
	if err != nil {
		return nil, err
	}
	if int(n) >= len(keys) {
		return nil, fmt.Errorf("%s: %w: it has no key %d", f.name, encrypt.ErrKeyNotFound, n)
	}
	return encrypt.Unwrap(keys[n], "fake", c.Bytes(), wrapped[fakePrefix:])
}

// KeyID implements encrypt.Provider.
func (f *Fake) KeyID(wrapped []byte) (string, error) {
	n, err := f.number(wrapped)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("key-%d", n), nil
}

// Rewrap implements encrypt.Provider.
func (f *Fake) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	secret, err := f.Unwrap(ctx, c, wrapped)
	if err != nil {
		return nil, err
	}
	return f.Wrap(ctx, c, secret)
}

// Check implements encrypt.Provider.
func (f *Fake) Check(ctx context.Context) error { return encrypt.CheckRoundTrip(ctx, f) }

// Close implements encrypt.Provider.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = nil
	return nil
}
