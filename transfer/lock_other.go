//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package transfer

import (
	"errors"
	"os"
)

// lockFile fails, because without a lock two runs could abort each other's
// uploads.
func lockFile(*os.File) error {
	return errors.New("journals cannot be locked on this system; run without one")
}
