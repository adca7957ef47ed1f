//go:build pkcs11

package pkcs11

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt"
)

const (
	// maxSessions bounds the sessions of a provider, and so its calls at once. Further
	// calls wait.
	maxSessions = 8
	// maxAttempts bounds the attempts of one call. The second is for a session that was
	// lost, as when the token was taken out.
	maxAttempts = 2
	// loginPause is the time after a failed login during which calls get its error.
	loginPause = time.Second
)

var errClosed = fmt.Errorf("%w: closed", encrypt.ErrUnavailable)

// session is a session at the token. One call has it at a time.
type session struct {
	lib    library
	handle p11.SessionHandle
	age    int // of sessions.age when it was opened
}

// sessions are the sessions of a provider. All are logged in, since a login is that of the
// whole process.
type sessions struct {
	lib    library
	opts   Options
	places chan struct{} // of calls in progress
	ended  chan struct{} // closed by close

	mu     sync.Mutex // held while a session is opened, so that one login serves all
	free   []session
	age    int // counts the times when all sessions were lost
	closed bool

	failed    error // of the last login; nil: it succeeded
	failedAt  time.Time
	badPIN    [sha256.Size]byte // hash of a PIN that the token refused
	hasBadPIN bool
}

func newSessions(lib library, o Options) *sessions {
	return &sessions{lib: lib, opts: o, places: make(chan struct{}, maxSessions), ended: make(chan struct{})}
}

func (p *sessions) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.ended)
	p.drop()
}

// drop closes the free sessions. Those in use are closed when they are given back. The
// caller holds mu.
func (p *sessions) drop() {
	p.age++
	for _, s := range p.free {
		_ = p.lib.CloseSession(s.handle) // it may be gone already
	}
	p.free = nil
}

// do calls f with a session, and calls it once more with a new one if the session was lost.
// A call of the library cannot be ended: when the time is over it goes on with its place,
// and its result is cleared. The secret is f's own; it is cleared when f is called no more.
func (p *sessions) do(ctx context.Context, secret []byte, f func(session) ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		clear(secret)
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	select {
	case p.places <- struct{}{}:
	case <-p.ended:
		clear(secret)
		return nil, errClosed
	case <-within.Done():
		clear(secret)
		return nil, p.late(ctx)
	}
	type result struct {
		bytes []byte
		err   error
	}
	done := make(chan result)
	go func() {
		defer func() { <-p.places }()
		b, err := p.attempts(within, f)
		clear(secret)
		select {
		case done <- result{b, err}:
		case <-within.Done():
			clear(b)
		}
	}()
	select {
	case r := <-done:
		return r.bytes, r.err
	case <-p.ended:
		cancel()
		return nil, errClosed
	case <-within.Done():
		return nil, p.late(ctx)
	}
}

// late is the error of a call whose time is over.
func (p *sessions) late(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: no answer in %v", encrypt.ErrUnavailable, p.opts.Timeout)
}

func (p *sessions) attempts(ctx context.Context, f func(session) ([]byte, error)) (b []byte, err error) {
	for range maxAttempts {
		var s session
		if s, err = p.take(); err != nil {
			if isLost(err) && ctx.Err() == nil {
				continue
			}
			return nil, err
		}
		b, err = f(s)
		p.give(s, isLost(err))
		if !isLost(err) || ctx.Err() != nil {
			return b, err
		}
	}
	return nil, err
}

// take returns a free session, or opens one.
func (p *sessions) take() (session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return session{}, errClosed
	}
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s, nil
	}
	if p.failed != nil && time.Since(p.failedAt) < loginPause {
		return session{}, p.failed
	}
	slot, err := p.slot()
	if err != nil {
		return session{}, err
	}
	handle, err := p.lib.OpenSession(slot, p11.CKF_SERIAL_SESSION)
	if err != nil {
		return session{}, fmt.Errorf("%w: %w", errToken, failure("open a session", err))
	}
	if err := p.logIn(handle); err != nil {
		_ = p.lib.CloseSession(handle) // the login's error says more
		return session{}, err
	}
	return session{p.lib, handle, p.age}, nil
}

// give takes a session back. A lost one takes all others of its age with it.
func (p *sessions) give(s session, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if lost && s.age == p.age {
		p.drop()
	}
	if p.closed || s.age != p.age {
		_ = p.lib.CloseSession(s.handle) // it may be gone already
		return
	}
	p.free = append(p.free, s)
}

// slot finds the slot of the token by its label. Numbers of slots change.
func (p *sessions) slot() (uint, error) {
	slots, err := p.lib.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errToken, failure("list slots", err))
	}
	var found []uint
	for _, slot := range slots {
		info, err := p.lib.GetTokenInfo(slot)
		if err == nil && strings.TrimRight(info.Label, " \x00") == p.opts.Token {
			found = append(found, slot)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("%w: %w: no slot has the token %q", encrypt.ErrUnavailable, errToken, p.opts.Token)
	}
	return 0, fmt.Errorf("%w: %w: %d slots have a token %q", encrypt.ErrUnavailable, errToken, len(found), p.opts.Token)
}

// logIn logs in with the PIN of the file, unless the token has refused it: tokens lock
// themselves after a few wrong ones. The caller holds mu.
func (p *sessions) logIn(s p11.SessionHandle) error {
	pin, err := p.opts.pin()
	if err != nil {
		return p.noLogin(fmt.Errorf("%w: %w: %v", encrypt.ErrDenied, errLogin, err))
	}
	defer clear(pin)
	if p.hasBadPIN && sha256.Sum256(pin) == p.badPIN {
		return p.failed
	}
	err = p.lib.Login(s, p11.CKU_USER, string(pin))
	if errors.Is(err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)) {
		p.failed = nil // by another session of this process
		return nil
	}
	if isPIN(err) {
		p.badPIN, p.hasBadPIN = sha256.Sum256(pin), true
	}
	if err != nil {
		return p.noLogin(fmt.Errorf("%w: %w", errLogin, failure("log in", err)))
	}
	p.failed, p.hasBadPIN = nil, false
	p.observe(nil)
	return nil
}

// noLogin remembers a failed login.
func (p *sessions) noLogin(err error) error {
	p.failed, p.failedAt = err, time.Now()
	p.observe(err)
	return err
}

func (p *sessions) observe(err error) {
	if p.opts.Observe != nil {
		p.opts.Observe(err)
	}
}
