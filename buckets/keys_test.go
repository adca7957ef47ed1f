package buckets

import (
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/s3err"
)

// Clients are told of a provider that is away to come again, and of a key that was taken
// away what AWS KMS tells them. A wrong key or answer is nothing that a client did.
func TestCodesOfProviders(t *testing.T) {
	for fault, want := range map[keytest.Fault]s3err.Code{
		keytest.Down: s3err.ServiceUnavailable, keytest.Throttled: s3err.ServiceUnavailable, keytest.Denied: s3err.ServiceUnavailable,
		keytest.Disabled: s3err.KMSDisabled, keytest.PendingDeletion: s3err.KMSNotFound, keytest.Deleted: s3err.KMSNotFound,
	} {
		keys := keytest.NewFake("fake")
		keys.Set(fault)
		_, err := keys.Wrap(t.Context(), encrypt.Context{}, []byte("seed"))
		if err = OfProvider("wrap", err); !errors.Is(err, want) {
			t.Errorf("fault %d: %v, want %s", fault, err, want)
		}
	}
	for _, err := range []error{encrypt.ErrWrongKey, encrypt.ErrCorrupt} {
		if _, coded := errors.AsType[s3err.Code](OfProvider("unwrap", err)); coded {
			t.Errorf("%v has a code for clients", err)
		}
	}
}
