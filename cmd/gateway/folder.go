package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/plainfile"
)

// The data folder:
//
//	DIR/keyring   the key file, mode 0600, unless keyring.path names another
//	DIR/meta.db   the store, in SQLite; -wal, -shm and .lock beside it
//	DIR/blobs/    the sealed bytes
//	DIR/acme/     account and certificates of ACME, if in use
//	DIR/root-credential  mode 0600, if the first start had no terminal
const (
	keyringName = "keyring"
	storeName   = "meta.db"
	blobsName   = "blobs"
	folderMode  = 0o700
)

// keyringIn is the default path of the key file.
func keyringIn(dir string) string { return filepath.Join(dir, keyringName) }

// foreignAllowed are entries that a new data folder may contain already.
var foreignAllowed = map[string]bool{keyringName: true, blobsName: true, acmeFolder: true, "lost+found": true}

// inspectFolder examines the data folder without changing it, and reports
// whether it is a new one, in which a deployment can begin. It refuses every
// state in which a new key or a new store would be placed beside those of
// another deployment.
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
	// SQLite opens all of these.
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if err := plainOrAbsent(filepath.Join(c.Data, storeName+suffix)); err != nil {
			return false, fmt.Errorf("store: %w", err)
		}
	}
	missing, err := missingKeyFile(c)
	if err != nil {
		return false, fmt.Errorf("key file: %w", err)
	}
	hasStore, err := exists(filepath.Join(c.Data, storeName))
	switch {
	case err != nil:
		return false, fmt.Errorf("store: %w", err)
	case hasStore && missing != "":
		return false, fmt.Errorf("key file %s is missing, and nothing in %s can be opened without it: restore it from its backup",
			missing, c.Data)
	case hasStore:
		return false, nil
	}
	if err := refuseForeign(c, entries); err != nil {
		return false, err
	}
	if found, err := holdsFile(filepath.Join(c.Data, blobsName, "blobs")); err != nil || found {
		if err == nil {
			err = fmt.Errorf("%s contains sealed blobs, but its store %s is missing: "+
				"restore it from its backup, or choose a new folder with --data", c.Data, storeName)
		}
		return false, err
	}
	return true, nil
}

// refuseForeign refuses a folder without a store that has files of others: it is
// probably a mistake in the settings.
func refuseForeign(c *configuration, entries []fs.DirEntry) error {
	for _, e := range entries {
		name := e.Name()
		ours := foreignAllowed[name] || strings.HasPrefix(name, ".") || strings.HasPrefix(name, storeName) ||
			isKeyFile(c, filepath.Join(c.Data, name))
		if !ours {
			return fmt.Errorf("data folder %s contains %s but no store: choose an empty or new folder with --data", c.Data, name)
		}
	}
	return nil
}

// missingKeyFile returns the first key file of the configuration that does not exist.
func missingKeyFile(c *configuration) (string, error) {
	for _, k := range c.keyFiles() {
		if there, err := exists(k.Keyring.Path); err != nil || !there {
			return k.Keyring.Path, err
		}
	}
	return "", nil
}

// isKeyFile reports whether a path is that of a key file.
func isKeyFile(c *configuration, path string) bool {
	return slices.ContainsFunc(c.keyFiles(), func(k *KeyProviderSettings) bool { return filepath.Clean(k.Keyring.Path) == path })
}

// requireFolder is inspectFolder for commands that need an existing deployment.
func requireFolder(c *configuration) error {
	fresh, err := inspectFolder(c)
	if err == nil && fresh {
		err = fmt.Errorf("%s contains no deployment: choose the folder of one with --data", c.Data)
	}
	return err
}

// exists reports whether a path exists, be it a broken link.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// plainOrAbsent refuses a path that exists and is no plain file. SQLite would
// open a pipe and wait for its other end.
func plainOrAbsent(path string) error {
	f, err := plainfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return f.Close()
}

// holdsFile reports whether a folder contains a file at any depth. An absent
// folder contains none.
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
