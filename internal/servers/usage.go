//go:build linux

package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTicks is USER_HZ, the unit of times in /proc: 100 on every architecture
// that Go runs on.
const clockTicks = 100

// CPU is the processor time that the program used so far, in all threads, user
// and system, to a hundredth of a second. Programs that it started do not count.
func (p *Process) CPU() (time.Duration, error) {
	b, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name of the program, in brackets, may hold anything; after it the
	// fields count from 3, and user and system time are 14 and 15.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.PID(), len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / clockTicks), errors.Join(err1, err2)
}

// ResetPeak makes the memory in use now the peak. Where the kernel does not
// allow that, the peak is that of the program's whole life.
func (p *Process) ResetPeak() {
	const resetHighWater = "5" // see proc_pid_clear_refs(5)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte(resetHighWater), 0)
}

// Peak is the most memory that was resident since ResetPeak, in bytes.
func (p *Process) Peak() (int64, error) {
	b, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.PID())
}

// proc reads one of the files that the kernel has of the program.
func (p *Process) proc(file string) ([]byte, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
	if err != nil {
		return nil, fmt.Errorf("%s has ended: %w; its log ends: %s", p.spec.Name, err, p.Tail())
	}
	return b, nil
}
