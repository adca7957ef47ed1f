package gcpkms

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
)

// A result of Wrap (docs/format.md, 4.4):
//
//	wrapped = version(1) ‖ u16be ‖ name ‖ ciphertext ‖ tag[32]
//	tag     = HMAC-SHA256(k, all before the tag)
//	k       = HKDF-SHA256(secret, info = "sanctum/1/gcpkms" ‖ context, 32)
//
// The number before the name is its length. The name is that of the key's version, of
// which the service itself reads nothing: it finds the version in the ciphertext. So the
// tag proves the name, as it proves that the service's answer is the secret.
const (
	wrapVersion = 1
	wrapTag     = sha256.Size
	wrapPrefix  = 1 + 2
	tagLabel    = "sanctum/1/gcpkms"
	// maxCiphertext is the longest ciphertext of the service in bytes. It adds less than
	// a hundred to a secret.
	maxCiphertext = 8 << 10
)

// keyForm is the form of a key's name, with a version or without. The project may be that
// of a domain, "example.com:project".
// https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys
var keyForm = regexp.MustCompile(`^projects/([a-z0-9](?:[a-z0-9.:-]{0,98}[a-z0-9])?)` +
	`(/locations/[a-z0-9-]{1,40}/keyRings/[a-zA-Z0-9_-]{1,63}/cryptoKeys/[a-zA-Z0-9_-]{1,63})(?:/cryptoKeyVersions/([1-9][0-9]{0,8}))?$`)

// keyName is the name of a key in two parts.
type keyName struct{ project, rest string }

// String returns the resource name.
func (k keyName) String() string { return "projects/" + k.project + k.rest }

// same reports whether both can be the name of one key. A project has a name and a number,
// and the service may answer with either.
func (k keyName) same(l keyName) bool {
	return k.rest == l.rest && (k.project == l.project || isNumber(k.project) != isNumber(l.project))
}

// isNumber tells a project's number from its name, which begins with a letter.
func isNumber(project string) bool { return strings.Trim(project, "0123456789") == "" }

func versionName(k keyName, version string) string {
	return k.String() + "/cryptoKeyVersions/" + version
}

// parseVersion parses the name of a key's version.
func parseVersion(name string) (k keyName, version string, ok bool) {
	m := keyForm.FindStringSubmatch(name)
	if m == nil || m[3] == "" {
		return keyName{}, "", false
	}
	return keyName{m[1], m[2]}, m[3], true
}

// wrap is a parsed result of Wrap.
type wrap struct {
	key        keyName
	version    string
	ciphertext []byte
	proven     []byte // all before the tag
	tag        []byte
}

// parse parses a result of Wrap. Nothing in it is proven yet.
func parse(wrapped []byte) (*wrap, error) {
	bad := func(why string) (*wrap, error) { return nil, fmt.Errorf("%w: %s", encrypt.ErrCorrupt, why) }
	if len(wrapped) < wrapPrefix+wrapTag || wrapped[0] != wrapVersion {
		return bad("it is no wrap of this provider")
	}
	at := len(wrapped) - wrapTag
	w := &wrap{proven: wrapped[:at], tag: wrapped[at:]}
	rest := wrapped[wrapPrefix:at]
	n := int(binary.BigEndian.Uint16(wrapped[1:]))
	if n > len(rest) {
		return bad("the name of the key is cut")
	}
	var ok bool
	if w.key, w.version, ok = parseVersion(string(rest[:n])); !ok {
		return bad("it has no name of a key's version")
	}
	if w.ciphertext = rest[n:]; len(w.ciphertext) == 0 || len(w.ciphertext) > maxCiphertext {
		return bad(fmt.Sprintf("it has a ciphertext of %d bytes", len(w.ciphertext)))
	}
	return w, nil
}

// seal encodes a result of Wrap.
func seal(c encrypt.Context, secret []byte, version string, ciphertext []byte) []byte {
	out := make([]byte, 0, wrapPrefix+len(version)+len(ciphertext)+wrapTag)
	out = binary.BigEndian.AppendUint16(append(out, wrapVersion), uint16(len(version)))
	out = append(append(out, version...), ciphertext...)
	return append(out, tag(c, secret, out)...)
}

// proves reports whether the tag is that of the secret and the context.
func (w *wrap) proves(c encrypt.Context, secret []byte) bool {
	return len(secret) >= encrypt.MinSecret && len(secret) <= encrypt.MaxSecret && hmac.Equal(w.tag, tag(c, secret, w.proven))
}

func tag(c encrypt.Context, secret, of []byte) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, tagLabel+string(c.Bytes()), sha256.Size)
	if err != nil {
		panic(err) // only for longer keys
	}
	defer clear(k)
	h := hmac.New(sha256.New, k)
	h.Write(of)
	return h.Sum(nil)
}
