package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sanctum-storage/gateway/plainfile"
)

// The data folder:
//
//	DIR/keyring   the key file, mode 0600, unless keyring.path names another
//	DIR/meta.db   the store, in SQLite; -wal, -shm and .lock beside it
//	DIR/blobs/    the sealed bytes
//	DIR/acme/     account and certificates of ACME, if in use
//	DIR/root-credential  mode 0600, if the first start had no terminal to show it on
const (
	keyringName = "keyring"
	storeName   = "meta.db"
	blobsName   = "blobs"
	folderMode  = 0o700
)

func keyringIn(dir string) string { return filepath.Join(dir, keyringName) }

// foreignAllowed are entries that a new data folder may already hold.
var foreignAllowed = map[string]bool{keyringName: true, blobsName: true, acmeFolder: true, "lost+found": true}

// inspectFolder looks at the data folder without changing it, and reports
// whether a deployment is to be begun in it. It refuses every state in which
// going on would put a new key or a new store beside what belongs to another.
func inspectFolder(c *configuration) (fresh bool, err error) {
	fi, err := os.Stat(c.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("data folder: %w; start as its owner, or choose another with --data", err)
	case !fi.IsDir():
		return false, fmt.Errorf("data folder %s is not a folder: choose another with --data", c.Data)
	}
	entries, err := os.ReadDir(c.Data)
	if err != nil {
		return false, fmt.Errorf("data folder: %w; start as its owner, or choose another with --data", err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if err := plainOrAbsent(filepath.Join(c.Data, storeName+suffix)); err != nil {
			return false, fmt.Errorf("store: %w", err)
		}
	}
	hasKey, err := exists(c.KeyringPath)
	if err != nil {
		return false, fmt.Errorf("key file: %w", err)
	}
	hasStore, err := exists(filepath.Join(c.Data, storeName))
	switch {
	case err != nil:
		return false, fmt.Errorf("store: %w", err)
	case hasStore && !hasKey:
		return false, fmt.Errorf("key file %s is missing, and without it nothing in %s can be opened: bring it back from its backup", c.KeyringPath, c.Data)
	case hasStore:
		return false, nil
	}
	for _, e := range entries {
		if !foreignAllowed[e.Name()] && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), storeName) && filepath.Join(c.Data, e.Name()) != filepath.Clean(c.KeyringPath) {
			return false, fmt.Errorf("data folder %s holds %s and no store: choose an empty or new folder with --data", c.Data, e.Name())
		}
	}
	if found, err := holdsFile(filepath.Join(c.Data, blobsName, "blobs")); err != nil || found {
		if err == nil {
			err = fmt.Errorf("%s holds sealed blobs, but its store %s is missing: bring it back from its backup, or choose a new folder with --data", c.Data, storeName)
		}
		return false, err
	}
	return true, nil
}

// requireFolder is inspectFolder for commands that need an existing deployment.
func requireFolder(c *configuration) error {
	fresh, err := inspectFolder(c)
	if err == nil && fresh {
		err = fmt.Errorf("%s holds no deployment: choose the folder of one with --data", c.Data)
	}
	return err
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// plainOrAbsent refuses a path that leads to what cannot be a database's file,
// which SQLite would wait for.
func plainOrAbsent(path string) error {
	f, err := plainfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return f.Close()
}

// holdsFile reports whether there is any file below a folder that may be absent.
func holdsFile(dir string) (bool, error) {
	found := false
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !e.IsDir():
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
