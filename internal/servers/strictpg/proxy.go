// Package strictpg is a proxy in front of a PostgreSQL server for tests. It refuses
// features that databases similar to PostgreSQL, or poolers, do not have, and it
// injects faults around COMMIT. The product never imports it.
package strictpg

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Fault is something that the proxy does to a client.
type Fault string

const (
	Serialization Fault = "40001 in answer to COMMIT"
	BeforeCommit  Fault = "reset before COMMIT reached the server"
	AfterCommit   Fault = "reset after COMMIT was executed"
	LateCommit    Fault = "reset while COMMIT is on its way"
	HalfCommit    Fault = "reset between the last statement and COMMIT, which arrives later"
	Between       Fault = "reset between statements"
)

// maxDelay is how late the rest of a late COMMIT arrives at most.
const maxDelay = 60 * time.Millisecond

// Options of a proxy.
type Options struct {
	// Named lets prepared statements have names.
	Named bool
	// Faults are how often each fault happens, of all COMMITs or, for Between,
	// of all other round trips: 0 to 1.
	Faults map[Fault]float64
	// Seed decides which.
	Seed uint64
}

// Proxy is a running proxy. Its methods may be called from any goroutine.
type Proxy struct {
	// Address is where it listens.
	Address  string
	upstream string
	options  Options
	listener net.Listener
	sessions sync.WaitGroup

	mu       sync.Mutex
	random   *rand.Rand
	open     map[net.Conn]bool
	refused  []string
	happened map[Fault]int
	closed   bool
}

// Start starts a proxy on a loopback port before the server at the address.
func Start(upstream string, o Options) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Address: l.Addr().String(), upstream: upstream, options: o, listener: l,
		random: rand.New(rand.NewPCG(o.Seed, 0)), open: make(map[net.Conn]bool), happened: make(map[Fault]int),
	}
	p.sessions.Go(p.serve)
	return p, nil
}

// Refused are the statements that were refused.
func (p *Proxy) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// Happened is how often each fault happened.
func (p *Proxy) Happened() map[Fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.happened)
}

// Close ends all sessions.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.open {
		err = errors.Join(err, c.Close())
	}
	clear(p.open)
	p.mu.Unlock()
	p.sessions.Wait()
	return err
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.sessions.Go(func() { p.session(client) })
	}
}

// track adds a connection to those that Close closes.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

// drop closes a connection; reset makes the other side see that at once.
func (p *Proxy) drop(c net.Conn, reset bool) {
	p.mu.Lock()
	known := p.open[c]
	delete(p.open, c)
	p.mu.Unlock()
	if !known {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // fails where it is closed already
	}
	c.Close()
}

func (p *Proxy) refuse(why, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, fmt.Sprintf("%s: %s", why, text))
}

// draw decides what happens to a round trip, or "".
func (p *Proxy) draw(commit bool) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	among := []Fault{Between}
	if commit {
		among = []Fault{Serialization, BeforeCommit, AfterCommit, LateCommit, HalfCommit}
	}
	x := p.random.Float64()
	for _, f := range among {
		if x -= p.options.Faults[f]; x < 0 {
			p.happened[f]++
			return f
		}
	}
	return ""
}

func (p *Proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(p.random.Int64N(int64(maxDelay)))
}

// coin decides between two ways of the same fault.
func (p *Proxy) coin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.IntN(2) == 0
}
