package vault

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
)

// A wrapped secret is
//
//	version(1) = 1 ‖ len(key) u8 ‖ key ‖ version of the key u32 ‖ ciphertext
//
// The ciphertext is that of Transit's text "vault:v<version>:<base64>", decoded: text has
// several forms that Transit takes for one, and a changed byte must be refused.
const (
	wrappedVersion = 1
	// textPrefix begins every ciphertext of Transit, in OpenBao too.
	textPrefix = "vault:v"
	// overhead is what the supported types of keys add to a secret: nonce[12] and tag[16].
	overhead = 12 + 16
)

// wrappedSecret is a parsed result of Wrap.
type wrappedSecret struct {
	key        string
	version    uint32
	ciphertext []byte
}

func parseWrapped(b []byte) (wrappedSecret, error) {
	if len(b) < 2 || b[0] != wrappedVersion || len(b) < 2+int(b[1])+4 {
		return wrappedSecret{}, fmt.Errorf("vault: %w: it is no wrapped secret", encrypt.ErrCorrupt)
	}
	n := 2 + int(b[1])
	w := wrappedSecret{string(b[2:n]), binary.BigEndian.Uint32(b[n:]), b[n+4:]}
	return w, w.check()
}

// parseText reads a ciphertext of Transit that is under key. Only its canonical form is
// taken.
func parseText(key, text string) (wrappedSecret, error) {
	number, encoded, _ := strings.Cut(strings.TrimPrefix(text, textPrefix), ":")
	version, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return wrappedSecret{}, fmt.Errorf("vault: %w: no version of a key", encrypt.ErrCorrupt)
	}
	ciphertext, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return wrappedSecret{}, fmt.Errorf("vault: %w: no base64", encrypt.ErrCorrupt)
	}
	w := wrappedSecret{key, uint32(version), ciphertext}
	if string(w.text()) != text {
		return wrappedSecret{}, fmt.Errorf("vault: %w: not the form that the service writes", encrypt.ErrCorrupt)
	}
	return w, w.check()
}

// check refuses what Wrap cannot have returned. Transit reads version 0 as version 1.
func (w wrappedSecret) check() error {
	if !keyName.MatchString(w.key) || w.version == 0 || w.version > math.MaxInt32 ||
		w.size() < encrypt.MinSecret || w.size() > encrypt.MaxSecret {
		return fmt.Errorf("vault: %w: it is no wrapped secret", encrypt.ErrCorrupt)
	}
	return nil
}

// size is the length of the secret.
func (w wrappedSecret) size() int { return len(w.ciphertext) - overhead }

func (w wrappedSecret) id() string { return w.key + ":" + strconv.FormatUint(uint64(w.version), 10) }

// text is the ciphertext as Transit writes it.
func (w wrappedSecret) text() []byte {
	b := strconv.AppendUint([]byte(textPrefix), uint64(w.version), 10)
	return base64.StdEncoding.AppendEncode(append(b, ':'), w.ciphertext)
}

func (w wrappedSecret) bytes() []byte {
	b := append([]byte{wrappedVersion, byte(len(w.key))}, w.key...)
	return append(binary.BigEndian.AppendUint32(b, w.version), w.ciphertext...)
}
