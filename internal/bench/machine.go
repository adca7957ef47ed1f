//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// machine is where and when a run was, and of what.
type machine struct {
	Date, CPU, Kernel, Go, Gateway, Rival, Postgres string
	Cores                                           int
	Load                                            string // of the minute before the run
	Rounds                                          int
	Turn                                            string
	Keys                                            int
}

func describeMachine(b *bench) machine {
	return machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 MST"), CPU: cpuModel(), Cores: runtime.NumCPU(),
		Kernel: firstField("/proc/sys/kernel/osrelease"), Load: firstField("/proc/loadavg"),
		Go: runtime.Version(), Gateway: revision(b.gateway), Rival: servers.Versitygw.Version, Postgres: servers.Postgres15,
		Rounds: b.rounds, Turn: b.turn.String(), Keys: b.keys,
	}
}

// String is a paragraph for the report.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d × %s, Linux %s, %s, gateway %s, %s %s, PostgreSQL %s. Medians of %d rounds with turns of %s; few keys are %d, many %d. Load average at the start: %s.",
		m.Date, m.Cores, m.CPU, m.Kernel, m.Go, m.Gateway, rival, m.Rival, m.Postgres, m.Rounds, m.Turn, fewKeys, m.Keys, m.Load)
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH // ARM kernels name no model
}

func firstField(path string) string {
	b, err := os.ReadFile(path)
	if fields := strings.Fields(string(b)); err == nil && len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}

// revision is the commit that a program was built from, short; with + where the
// tree had changes.
func revision(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	rev := settings["vcs.revision"]
	if rev == "" {
		return "unknown"
	}
	rev = rev[:min(len(rev), 10)]
	if settings["vcs.modified"] == "true" {
		rev += "+"
	}
	return rev
}
