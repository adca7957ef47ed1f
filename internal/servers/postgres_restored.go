//go:build linux

package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// OpenPostgres starts a server over a data folder that is there, dir/data, such
// as one that was restored from a backup. It answers when it can be read, which
// may be before its recovery has ended. Its settings become those of o.
func OpenPostgres(version, dir string, o PostgresOptions) (*Postgres, error) {
	p, _, err := newPostgres(version, dir)
	if err != nil {
		return nil, err
	}
	if err := p.configure(o); err != nil {
		return nil, err
	}
	return p, p.Restart()
}

// Data is the path of the data folder.
func (p *Postgres) Data() string { return p.data }

// RunAs makes cmd run as the user whom the server's files belong to.
func (p *Postgres) RunAs(cmd *exec.Cmd) {
	if p.spec.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.spec.UID, Gid: p.spec.GID}}
	}
}

// Share makes a folder in the server's, or finds it, that belongs to its user.
func (p *Postgres) Share(name string) (string, error) {
	path := filepath.Join(p.spec.Dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	return path, p.give(path)
}

// ShareFile writes a file into the server's folder that belongs to its user.
func (p *Postgres) ShareFile(name string, content []byte) (string, error) {
	path := filepath.Join(p.spec.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", err
	}
	return path, p.give(path)
}

func (p *Postgres) give(path string) error {
	if p.spec.UID == 0 {
		return nil
	}
	return os.Chown(path, int(p.spec.UID), int(p.spec.GID))
}
