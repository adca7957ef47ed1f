package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
)

// value is the place of a setting. set replaces the present value, so that the
// source with the highest rank wins as a whole. String returns a text that set
// accepts.
type value interface {
	set(string) error
	String() string
	kind() string // for the help text
}

// text is any text.
type text string

func (t *text) set(s string) error { *t = text(s); return nil }
func (t *text) String() string     { return string(*t) }
func (t *text) kind() string       { return "string" }

// flag is true or false. Other words, such as yes or 1, are refused.
type flag bool

func (f *flag) set(s string) error {
	switch s {
	case "true":
		*f = true
	case "false":
		*f = false
	default:
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}
func (f *flag) String() string { return strconv.FormatBool(bool(*f)) }
func (f *flag) kind() string   { return "bool" }

// list is written a,b,c. Empty and repeated items are dropped.
type list []string

func (l *list) set(s string) error {
	*l = nil
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(*l, item) {
			*l = append(*l, item)
		}
	}
	return nil
}
func (l *list) String() string { return strings.Join(*l, ",") }
func (l *list) kind() string   { return "list" }

// prefixes is a list of networks or addresses.
type prefixes []netip.Prefix

// set accepts a mixture of networks and addresses. An address is a network of
// its own.
func (p *prefixes) set(s string) error {
	var l list
	if err := l.set(s); err != nil {
		return err
	}
	*p = nil
	for _, item := range l {
		if !strings.Contains(item, "/") {
			a, err := netip.ParseAddr(item)
			if err != nil {
				return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", item)
			}
			*p = append(*p, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(item)
		if err != nil {
			return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", item)
		}
		*p = append(*p, n)
	}
	return nil
}

func (p *prefixes) String() string {
	var words []string
	for _, n := range *p {
		words = append(words, n.String())
	}
	return strings.Join(words, ",")
}
func (p *prefixes) kind() string { return "list" }

// choices is a list whose items are all from a few words.
type choices struct {
	p  *[]string
	of []string
}

func (c *choices) set(s string) error {
	var l list
	if err := l.set(s); err != nil {
		return err
	}
	for _, item := range l {
		if !slices.Contains(c.of, item) {
			return fmt.Errorf("%q is none of %s", item, strings.Join(c.of, ", "))
		}
	}
	*c.p = l
	return nil
}
func (c *choices) String() string { return strings.Join(*c.p, ",") }
func (c *choices) kind() string   { return "list" }

// choice is one of a few words.
type choice struct {
	p  *string
	of []string
}

func (c *choice) set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(c.of, ", "))
	}
	*c.p = s
	return nil
}
func (c *choice) String() string { return *c.p }
func (c *choice) kind() string   { return "string" }

// address is a TCP address to listen on. Without a host, it means every
// interface.
type address string

func (a *address) set(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: port %q is not a number from 0 to 65535", s, port)
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: port %q has needless digits", s, port)
	}
	*a = address(s)
	return nil
}
func (a *address) String() string { return string(*a) }
func (a *address) kind() string   { return "host:port" }

// isLoopback reports whether only this machine can reach an address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	return outbound.Loopback(host)
}

// span is a duration within bounds, both inclusive.
type span struct {
	p        *time.Duration
	min, max time.Duration
}

func (d *span) set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s, 10m or 168h", s)
	}
	if v < d.min || v > d.max {
		return fmt.Errorf("%s is not within %s and %s", s, d.min, d.max)
	}
	*d.p = v
	return nil
}
func (d *span) String() string { return d.p.String() }
func (d *span) kind() string   { return "duration" }

// count is a whole number within bounds, both inclusive.
type count struct {
	p        *int
	min, max int
}

func (c *count) set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	if v < c.min || v > c.max {
		return fmt.Errorf("%d is not within %d and %d", v, c.min, c.max)
	}
	*c.p = v
	return nil
}
func (c *count) String() string { return strconv.Itoa(*c.p) }
func (c *count) kind() string   { return "int" }

// level is the name of a log level.
type level slog.Level

func (l *level) set(s string) error {
	for _, v := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(v.String(), s) {
			*l = level(v)
			return nil
		}
	}
	return fmt.Errorf("%q is none of debug, info, warn, error", s)
}
func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }
func (l *level) kind() string   { return "string" }
