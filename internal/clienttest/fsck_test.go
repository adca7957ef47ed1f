package clienttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// Exit statuses of gateway fsck, as its help tells them.
const (
	fsckNothing = 0
	fsckLost    = 1
)

// fsckReport is what gateway fsck -o json prints, as far as it is looked at.
type fsckReport struct {
	Clean    bool
	Objects  int64
	Uploads  int64
	Blobs    int64
	Pending  int64 `json:"pending_blobs"`
	Backend  int64 `json:"backend_blobs"`
	Reserved int64 `json:"reserved_blobs"`
	Doubtful int64 `json:"doubtful_blobs"`
	Lost     int64
	Leaked   int64
	Findings []struct{ Kind, Severity, Blob, Bucket, Key, Upload, Detail string }

	status int
}

// fsck runs gateway fsck over the folder, whether the gateway runs or not.
// Findings are no error.
func (g *gateway) fsck(args ...string) (*fsckReport, error) {
	path, err := gatewayBinary()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append([]string{"fsck", "--data", g.dir, "-o", "json"}, args...)...)
	cmd.Env = append([]string{"HOME=" + work}, g.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	r := &fsckReport{status: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		return nil, fmt.Errorf("fsck ended with status %d and printed no report: %w\n%s%s", r.status, err, stdout.Bytes(), stderr.Bytes())
	}
	if r.Clean != (r.status == fsckNothing) {
		return nil, fmt.Errorf("fsck ended with status %d and reported clean: %t", r.status, r.Clean)
	}
	return r, nil
}
