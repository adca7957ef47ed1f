//go:build linux

package containers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the file system of a program in a container, and its privileges.
type Root struct {
	// Folder is an empty folder, on which the root is mounted for this program alone.
	Folder string
	// System shows the machine's programs and libraries, read-only, in place of an
	// image's. Without it there is nothing but Mounts, as in an image from scratch.
	System   bool
	Mounts   []Mount
	ReadOnly bool
	Dir      string // working directory; empty: /
	UID, GID int
	// Confined takes all capabilities away, and every way to get one.
	Confined bool
	// NoWriteExecute refuses memory that is both written and executed.
	NoWriteExecute bool
	NoFile         uint64 // limit of descriptors, at most this process's; 0: that
	Umask          int    // 0: 022
	Args           []string
	Env            []string // all of it
}

// Mount shows a file or folder of the machine in a container, or a new tmpfs.
type Mount struct {
	Source   string // empty: a tmpfs
	Target   string
	ReadOnly bool
	Options  string // of a tmpfs, such as mode=0700,uid=1
}

// variable holds the Root for a process that is to enter one.
const variable = "CONTAINERS_ROOT"

// folders are the machine's that System shows.
var folders = []string{"/usr", "/bin", "/sbin", "/lib", "/lib64"}

// files are made in the /etc of every root.
var files = map[string]string{
	"hosts":         "127.0.0.1 localhost\n",
	"resolv.conf":   "nameserver " + resolver + "\noptions ndots:0\n",
	"nsswitch.conf": "hosts: files dns\n",
	"passwd":        "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
	"group":         "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n",
}

// Enter turns a process that a Container started into the container's program. In
// every other process it returns. TestMain calls it first.
func Enter() {
	text := os.Getenv(variable)
	if text == "" {
		return
	}
	runtime.LockOSThread() // rights are a thread's
	var r Root
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.enter()
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(125)
}

func (r *Root) enter() error {
	if err := errors.Join(r.build(), r.mountAll()); err != nil {
		return err
	}
	if r.ReadOnly {
		if err := unix.Mount("", r.Folder, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make the root read-only: %w", err)
		}
	}
	if err := errors.Join(pivot(r.Folder), unix.Chdir("/"+strings.TrimPrefix(r.Dir, "/"))); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := r.confine(); err != nil {
		return err
	}
	os.Clearenv()
	for _, e := range r.Env {
		name, value, _ := strings.Cut(e, "=")
		os.Setenv(name, value)
	}
	program, err := exec.LookPath(r.Args[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, unix.Exec(program, r.Args, r.Env))
}

// pivot makes the folder, on which something is mounted, the root, and detaches the former
// one with all that is mounted there. A container that kept the machine's mounts would keep
// a file system of FUSE alive that the machine has unmounted, and the program that serves it.
func pivot(folder string) error {
	if err := unix.Chdir(folder); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

// build makes what every container has: devices, /proc, names.
func (r *Root) build() error {
	if err := unix.Mount("tmpfs", r.Folder, "tmpfs", 0, "mode=0755,size=64m"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	var errs []error
	for _, name := range []string{"etc", "proc", "dev", "dev/shm"} {
		errs = append(errs, os.Mkdir(filepath.Join(r.Folder, name), 0o755))
	}
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(r.Folder, "etc", name), []byte(text), 0o644))
	}
	errs = append(errs, unix.Mount("proc", filepath.Join(r.Folder, "proc"), "proc", 0, ""),
		unix.Mount("tmpfs", filepath.Join(r.Folder, "dev/shm"), "tmpfs", 0, "mode=1777"))
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		errs = append(errs, r.mount(Mount{Source: "/dev/" + device, Target: "/dev/" + device}))
	}
	if r.System {
		errs = append(errs, r.system())
	}
	return errors.Join(errs...)
}

func (r *Root) system() error {
	tmp := filepath.Join(r.Folder, "tmp")
	errs := []error{os.Mkdir(tmp, 0o777), os.Chmod(tmp, 0o1777)}
	for _, folder := range folders {
		info, err := os.Lstat(folder)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err == nil && info.Mode()&os.ModeSymlink != 0:
			var target string
			if target, err = os.Readlink(folder); err == nil {
				err = os.Symlink(target, filepath.Join(r.Folder, folder))
			}
			errs = append(errs, err)
		default:
			errs = append(errs, err, r.mount(Mount{Source: folder, Target: folder, ReadOnly: true}))
		}
	}
	for _, name := range []string{"/etc/ld.so.cache", "/etc/ssl"} {
		if _, err := os.Stat(name); err == nil {
			errs = append(errs, r.mount(Mount{Source: name, Target: name, ReadOnly: true}))
		}
	}
	return errors.Join(errs...)
}

func (r *Root) mountAll() error {
	for _, m := range r.Mounts {
		if err := r.mount(m); err != nil {
			return err
		}
	}
	return nil
}

func (r *Root) mount(m Mount) error {
	target := filepath.Join(r.Folder, m.Target)
	isFile := false
	if m.Source != "" {
		info, err := os.Stat(m.Source)
		if err != nil {
			return err
		}
		isFile = !info.IsDir()
	}
	if err := r.place(target, isFile); err != nil {
		return fmt.Errorf("a place for %s: %w", m.Target, err)
	}
	if m.Source == "" {
		return unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, m.Options)
	}
	if err := unix.Mount(m.Source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.Target, err)
	}
	if m.ReadOnly {
		return unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	return nil
}

// place creates the file or folder for a mount. If the folder above belongs to the
// machine, an empty one covers it.
func (r *Root) place(target string, isFile bool) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	err := makePlace(target, isFile)
	if !errors.Is(err, unix.EROFS) {
		return err
	}
	there := filepath.Dir(target)
	for _, err := os.Stat(there); err != nil; _, err = os.Stat(there) {
		there = filepath.Dir(there)
	}
	return errors.Join(unix.Mount("tmpfs", there, "tmpfs", 0, "mode=0755"), makePlace(target, isFile))
}

func makePlace(target string, isFile bool) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if isFile {
		return os.WriteFile(target, nil, 0o644)
	}
	return os.Mkdir(target, 0o755)
}

// confine drops the privileges that the program must not have. The order matters:
// each step needs privileges that a later one drops.
func (r *Root) confine() error {
	var errs []error
	if r.NoFile != 0 {
		var own unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
			return err
		}
		own.Max = min(own.Max, r.NoFile)
		own.Cur = own.Max
		errs = append(errs, unix.Setrlimit(unix.RLIMIT_NOFILE, &own))
	}
	if r.Umask != 0 {
		unix.Umask(r.Umask)
	} else {
		unix.Umask(0o022)
	}
	if r.Confined {
		last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
		if err != nil {
			return err
		}
		highest, err := strconv.Atoi(strings.TrimSpace(string(last)))
		if err != nil {
			return err
		}
		for c := range highest + 1 {
			errs = append(errs, unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0))
		}
	}
	errs = append(errs, unix.Setgroups([]int{r.GID}), unix.Setresgid(r.GID, r.GID, r.GID), unix.Setresuid(r.UID, r.UID, r.UID))
	if r.Confined {
		errs = append(errs, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	}
	if r.NoWriteExecute {
		errs = append(errs, unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
	}
	// The change of the user reset it.
	errs = append(errs, unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0))
	return errors.Join(errs...)
}
