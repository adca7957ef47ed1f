//go:build pkcs11

package pkcs11

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// DefaultTimeout bounds each call, with its login and its second attempt.
	DefaultTimeout = 5 * time.Second
	// maxLabel bounds the labels of keys in bytes. Those of tokens have 32.
	maxLabel = 128
	// maxTokenLabel is the length of CK_TOKEN_INFO.label.
	maxTokenLabel = 32
	// maxPIN bounds PINFile in bytes.
	maxPIN = 256
)

// Options say which keys to use. All but Timeout and Observe are required. Errors name an
// option by its setting, such as pin_path.
type Options struct {
	// Module is the absolute path of the vendor's library, which runs in this process.
	Module string
	// Token is the label of the token.
	Token string
	// Key is the label of the keys.
	Key string
	// PINFile has the user's PIN. It is read again at each login.
	PINFile string
	// Timeout bounds each call; zero: DefaultTimeout.
	Timeout time.Duration
	// Observe is told of each login, with the error of one that failed; nil: nobody is. It
	// must be safe for concurrent use, and must not wait.
	Observe func(error)

	between func(library) library // stands between; for tests
}

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	switch {
	case !filepath.IsAbs(o.Module):
		return fmt.Errorf("module: %q is not the absolute path of a library", o.Module)
	case o.Token == "" || len(o.Token) > maxTokenLabel:
		return fmt.Errorf("token_label: want 1 to %d bytes", maxTokenLabel)
	case o.Key == "" || len(o.Key) > maxLabel:
		return fmt.Errorf("key: want a label of 1 to %d bytes", maxLabel)
	case o.PINFile == "":
		return errors.New("pin_path: is missing")
	case o.Timeout < 0:
		return errors.New("timeout: negative")
	case o.Timeout == 0:
		o.Timeout = DefaultTimeout
	}
	return nil
}

// pin reads the PIN. The caller clears it.
func (o *Options) pin() ([]byte, error) {
	b, err := plainfile.Read(o.PINFile, maxPIN)
	if err != nil {
		return nil, err
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) == 0 {
		return nil, errors.New("the file is empty")
	}
	return b, nil
}
