package main

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// memoryVariable makes TestMemoryIsGuarded the child of itself.
const memoryVariable = "SANCTUM_TEST_MEMORY"

// A process that has opened keys is closed to debuggers and dies without a core, unless a
// setting says otherwise.
func TestMemoryIsGuarded(t *testing.T) {
	if setting := os.Getenv(memoryVariable); setting != "" {
		c := &configuration{Settings: Settings{KeyringPath: t.TempDir() + "/keyring", KeysDebuggable: setting == "open"}}
		if _, err := openKeys(t.Context(), c, true, nil); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		var core unix.Rlimit
		if err != nil || unix.Getrlimit(unix.RLIMIT_CORE, &core) != nil {
			t.Fatal(err)
		}
		if guarded := dumpable == 0 && core.Cur == 0 && core.Max == 0; guarded == c.KeysDebuggable && dumpable != 2 {
			t.Fatalf("keys.debuggable is %v: dumpable %d, cores of %d of at most %d bytes", c.KeysDebuggable, dumpable, core.Cur, core.Max)
		}
		// With GOTRACEBACK=crash the runtime dies of this signal as any program does.
		_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	}
	for _, setting := range []string{"guarded", "open"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryIsGuarded$", "-test.v")
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), memoryVariable+"="+setting, "GOTRACEBACK=crash")
		out, _ := cmd.CombinedOutput() // it dies of the signal
		if bytes.Contains(out, []byte("--- FAIL")) {
			t.Errorf("%s: %s", setting, out)
		}
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); setting == "guarded" && (!ok || status.CoreDump()) {
			t.Errorf("it left a core: %s", cmd.ProcessState)
		}
	}
}
