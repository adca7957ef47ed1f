//go:build linux

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Nginx is a running nginx with deploy/nginx/sanctum.conf.
type Nginx struct {
	*Process
	URL string // of the S3 endpoint
}

// StartNginx starts Debian's nginx before gateways, which are named by the host:port
// of their S3 listeners and need not run yet. Its files are in the folder dir. The
// caller stops it.
func StartNginx(ctx context.Context, dir string, gateways []string) (*Nginx, error) {
	if len(gateways) == 0 {
		return nil, errors.New("nginx: no gateway")
	}
	program, err := inPathOr("nginx", "/usr/sbin/nginx")
	if err != nil {
		return nil, err
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	text, err := NginxConfig(dir, addresses[0], gateways)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := Start(Spec{
		Name: "nginx", Program: program, Args: []string{"-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config},
		Dir: dir, Log: filepath.Join(dir, "nginx.log"),
	})
	if err != nil {
		return nil, err
	}
	n := &Nginx{Process: p, URL: "http://" + addresses[0]}
	err = p.Ready(ctx, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addresses[0])
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return n, nil
}

// NginxConfig is a whole configuration of nginx around deploy/nginx/sanctum.conf, for
// gateways by the host:port of their S3 listeners. Its other files are in dir.
func NginxConfig(dir, listen string, gateways []string) (string, error) {
	root, err := Repository()
	if err != nil {
		return "", err
	}
	site, err := nginxSite(filepath.Join(root, "deploy", "nginx", "sanctum.conf"), listen, gateways)
	return nginxMain(dir) + site + "}\n", err
}

// nginxSite is the shipped configuration with the addresses of this run.
func nginxSite(file, listen string, gateways []string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	site := string(text)
	const server, address = "server 127.0.0.1:9000 ", "listen 80;"
	before, after, ok := strings.Cut(site, server)
	line, after, cut := strings.Cut(after, "\n")
	if !ok || !cut || strings.Count(site, address) != 1 {
		return "", fmt.Errorf("%s has another shape", file)
	}
	var servers strings.Builder
	for _, g := range gateways {
		fmt.Fprintf(&servers, "server %s %s\n", g, line)
	}
	return strings.Replace(before+servers.String()+after, address, "listen "+listen+";", 1), nil
}

// nginxMain is what stands around a site, with all files in one folder.
func nginxMain(dir string) string {
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	return "daemon off;\nmaster_process off;\npid " + filepath.Join(dir, "nginx.pid") + ";\nevents { worker_connections 1024; }\nhttp {\naccess_log off;\n" + paths.String()
}
