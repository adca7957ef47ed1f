//go:build linux

package servers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// MaxBalanced is how many servers one HAProxy balances: as many as the project's
// configuration of it has places for.
const MaxBalanced = 5

// maxMetrics bounds what is read of HAProxy's metrics, in bytes.
const maxMetrics = 4 << 20

// Balanced is one gateway behind HAProxy.
type Balanced struct {
	S3      string // host:port of its S3 listener
	Metrics string // host:port of its metrics listener, where /readyz is
}

// HAProxy is a running HAProxy with deploy/haproxy/haproxy.cfg, the same file
// that docker-compose.yml uses.
type HAProxy struct {
	*Process
	URL        string // of the S3 endpoint
	MetricsURL string // of HAProxy's own metrics
}

// StartHAProxy balances the given gateways, of which there are at most
// MaxBalanced; they need not run yet. Its log is in the folder dir. It returns
// when HAProxy listens, which says nothing of the gateways. The caller stops it.
func StartHAProxy(ctx context.Context, dir string, gateways []Balanced) (*HAProxy, error) {
	if len(gateways) == 0 || len(gateways) > MaxBalanced {
		return nil, fmt.Errorf("haproxy: %d gateways; want 1 to %d", len(gateways), MaxBalanced)
	}
	program, err := inPathOr("haproxy", "/usr/sbin/haproxy")
	if err != nil {
		return nil, err
	}
	root, err := Repository()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(root, "deploy", "haproxy", "haproxy.cfg")
	// go test runs a test again when a file has changed that the test looked at.
	if _, err := os.Stat(config); err != nil {
		return nil, err
	}
	addresses, err := FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	env, err := haproxyEnv(addresses[0], addresses[1], gateways)
	if err != nil {
		return nil, err
	}
	p, err := Start(Spec{
		Name:    "haproxy",
		Program: program,
		// In the foreground, and ended by SIGTERM at once.
		Args: []string{"-db", "-f", config},
		Env:  env,
		Log:  filepath.Join(dir, "haproxy.log"),
	})
	if err != nil {
		return nil, err
	}
	h := &HAProxy{Process: p, URL: "http://" + addresses[0], MetricsURL: "http://" + addresses[1] + "/metrics"}
	if err := p.Ready(ctx, AnswersOK("http://"+addresses[1]+"/livez")); err != nil {
		p.Kill()
		return nil, err
	}
	return h, nil
}

// Up reports whether HAProxy gives requests to the gateway with this place in the
// list that it was started with.
func (h *HAProxy) Up(ctx context.Context, place int) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.MetricsURL, nil)
	if err != nil {
		return false, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	if err != nil {
		return false, err
	}
	up := fmt.Sprintf(`haproxy_server_status{proxy="gateways",server="gateway%d",state="UP"} `, place+1)
	_, value, ok := strings.Cut(string(text), up)
	if !ok {
		return false, fmt.Errorf("haproxy: no metric %s", up)
	}
	return strings.HasPrefix(value, "1"), nil
}

// haproxyEnv is what the configuration asks of the environment.
func haproxyEnv(listen, metrics string, gateways []Balanced) ([]string, error) {
	env := []string{"LISTEN=" + listen, "METRICS_LISTEN=" + metrics}
	for i, g := range gateways {
		_, port, err := net.SplitHostPort(g.Metrics)
		if err != nil {
			return nil, err
		}
		name := "GATEWAY" + strconv.Itoa(i+1)
		env = append(env, name+"="+g.S3, name+"_METRICS_PORT="+port)
	}
	return env, nil
}

// inPathOr finds a program in PATH, or where Debian has it: the folders of
// administrators' programs are not in every user's PATH.
func inPathOr(name, debian string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(debian); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s is missing: install Debian's package %s", name, name)
}
