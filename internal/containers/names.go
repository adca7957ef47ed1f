//go:build linux

package containers

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver is where containers ask for the names of others, as in Docker's.
const resolver = "127.0.0.11"

// nameTTL is how long an answer counts, in seconds.
const nameTTL = 5

// serveNames answers for the names of the containers that this one shares a network
// with, until the connection is closed.
func (c *Container) serveNames() (conn net.PacketConn, err error) {
	err = c.within(func() (err error) { conn, err = net.ListenPacket("udp", resolver+":53"); return err })
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := c.answer(buf[:n]); reply != nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
	return conn, nil
}

// answer is the reply to a question; nil: none.
func (c *Container) answer(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q}}
	addresses, there := c.host.named(strings.TrimSuffix(q.Name.String(), "."), c.networks)
	if !there {
		m.RCode = dnsmessage.RCodeNameError
	}
	if q.Type == dnsmessage.TypeA {
		for _, a := range addresses {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: nameTTL},
				Body:   &dnsmessage.AResource{A: a.As4()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// named are the addresses of a container that runs, on some networks.
func (h *Host) named(name string, networks []string) (all []netip.Addr, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.containers[name]
	if c == nil || !c.up.Load() {
		return nil, false
	}
	for network, address := range c.addresses {
		if slices.Contains(networks, network) {
			all = append(all, address)
		}
	}
	return all, len(all) > 0
}
