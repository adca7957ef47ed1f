//go:build linux

package servers

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
)

// Prometheus is a running Prometheus server.
type Prometheus struct {
	*Process
	URL string
}

// StartPrometheus starts Debian's Prometheus with a configuration, keeps its data and log
// in the folder dir, and returns when it is ready. The caller stops it.
func StartPrometheus(ctx context.Context, config, dir string) (*Prometheus, error) {
	program, err := inPathOr("prometheus", "/usr/bin/prometheus")
	if err != nil {
		return nil, err
	}
	addresses, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	p, err := Start(Spec{
		Name:    "prometheus",
		Program: program,
		Args:    []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + addresses[0]},
		Log:     filepath.Join(dir, "prometheus.log"),
	})
	if err != nil {
		return nil, err
	}
	s := &Prometheus{Process: p, URL: "http://" + addresses[0]}
	err = p.Ready(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/-/ready", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", resp.Status)
		}
		return nil
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return s, nil
}
