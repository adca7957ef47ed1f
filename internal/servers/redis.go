//go:build linux

package servers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Redis is a running Redis server on loopback, without a password, its data in
// memory.
type Redis struct {
	*Process
	Address string // host:port
}

// StartRedis starts Debian's Redis with its log in the folder dir and returns
// when it answers. The caller stops it.
func StartRedis(ctx context.Context, dir string) (*Redis, error) {
	program, err := inPathOr("redis-server", "/usr/bin/redis-server")
	if err != nil {
		return nil, err
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	p, err := Start(Spec{
		Name:    "redis-server",
		Program: program,
		Args:    []string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir},
		Log:     filepath.Join(dir, "redis.log"),
	})
	if err != nil {
		return nil, err
	}
	r := &Redis{Process: p, Address: addresses[0]}
	if err := p.Ready(ctx, r.ping); err != nil {
		p.Kill()
		return nil, err
	}
	return r, nil
}

// ping succeeds when Redis has loaded and takes commands.
func (r *Redis) ping(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && strings.TrimSpace(line) != "+PONG" {
		err = fmt.Errorf("redis answers %q", line)
	}
	return err
}
