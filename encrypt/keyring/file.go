package keyring

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/sanctum-storage/gateway/encrypt"
)

// The file has lines of ASCII text, each ended by one newline, with words separated
// by one space, decimal numbers without leading zeros, and bytes in lower-case hex:
//
// sanctum-keyring 1
// # any number of comment lines, only here
// argon2id <time> <memory KiB> <threads> <salt[16]>     only with a passphrase
// primary <key id[16]>
// key <key id[16]> <key[32], or its wrap with a passphrase>
// …
// sum <SHA-256 of all bytes before this line>
//
// Without the sum, a digit damaged by a bad disk or an editor would make a new key,
// which would be used until an old one is needed.
const (
	magic      = "sanctum-keyring 1"
	maxFile    = 64 << 10
	maxKeys    = 100
	idSize     = 16
	keySize    = 32
	saltSize   = 16
	purposeKey = "keyring-passphrase"
)

// errMalformed is wrapped by every error about the text.
var errMalformed = fmt.Errorf("%w: not a keyring file", encrypt.ErrCorrupt)

// cost is the cost of Argon2id. It is read from the file, so it is bounded before
// use.
type cost struct {
	time, memory uint32 // passes; KiB
	threads      uint8
}

// defaultCost is the second recommended option of RFC 9106, section 4.
var defaultCost = cost{time: 3, memory: 64 << 10, threads: 4}

// Bounds of a cost: well above RFC 9106's minimum of 8 KiB a thread, and at most
// what a gateway can afford at its start.
const (
	minMemory, maxMemory = 8 << 10, 1 << 20 // KiB
	maxTime              = 16
	maxThreads           = 16
)

func (c cost) check() error {
	if c.time < 1 || c.time > maxTime || c.memory < minMemory || c.memory > maxMemory || c.threads < 1 || c.threads > maxThreads {
		return fmt.Errorf("%w: Argon2id cost %d %d %d is out of bounds", errMalformed, c.time, c.memory, c.threads)
	}
	return nil
}

// errNotApproved refuses passphrases in FIPS mode: golang.org/x/crypto's Argon2id
// lies outside the approved module, and no approved function is as hard to guess.
var errNotApproved = errors.New("a passphrase needs Argon2id, which FIPS 140-3 does not approve: " +
	"use a key file without a passphrase, on an encrypted disk")

func (c cost) key(passphrase, salt []byte) [keySize]byte {
	return [keySize]byte(argon2.IDKey(passphrase, salt, c.time, c.memory, c.threads, keySize))
}

type keyID [idSize]byte

// contents is a parsed file. Stored keys are plain, or wraps if sealed.
type contents struct {
	sealed  bool
	cost    cost
	salt    [saltSize]byte
	primary keyID
	ids     []keyID
	stored  map[keyID][]byte
}

// text formats the file.
func (c *contents) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, magic)
	fmt.Fprintln(&b, "# Whoever reads this file can read every object. Without it nobody can.")
	fmt.Fprintln(&b, "# Keep a copy somewhere else, and never edit it by hand.")
	if c.sealed {
		fmt.Fprintf(&b, "argon2id %d %d %d %x\n", c.cost.time, c.cost.memory, c.cost.threads, c.salt)
	}
	fmt.Fprintf(&b, "primary %x\n", c.primary)
	for _, id := range c.ids {
		fmt.Fprintf(&b, "key %x %x\n", id, c.stored[id])
	}
	fmt.Fprintf(&b, "sum %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// parse reads the file strictly: anything unexpected is an error.
func parse(text []byte) (*contents, error) {
	if len(text) == 0 {
		return nil, fmt.Errorf("%w: it is empty; its creation was interrupted, so if nothing was stored yet, remove it and start again", errMalformed)
	}
	body, err := checkSum(text)
	if err != nil {
		return nil, err
	}
	c := &contents{stored: map[keyID][]byte{}}
	state := "magic"
	for line := range strings.SplitSeq(strings.TrimSuffix(string(body), "\n"), "\n") {
		if state, err = c.line(state, line); err != nil {
			return nil, err
		}
	}
	if _, ok := c.stored[c.primary]; !ok || state != "keys" {
		return nil, fmt.Errorf("%w: it has no primary key", errMalformed)
	}
	return c, nil
}

// checkSum removes the last line and compares it with the rest.
func checkSum(text []byte) ([]byte, error) {
	at := bytes.LastIndex(text, []byte("\nsum ")) + 1
	sum := fmt.Appendf(nil, "sum %x\n", sha256.Sum256(text[:at]))
	if at == 0 || subtle.ConstantTimeCompare(sum, text[at:]) != 1 {
		return nil, fmt.Errorf("%w: it is damaged, cut short or was edited (its sum differs); restore a copy", errMalformed)
	}
	return text[:at], nil
}

// line parses one line in a state and returns the next state: magic → head →
// primary → keys.
func (c *contents) line(state, line string) (string, error) {
	words := strings.Split(line, " ")
	switch {
	case state == "magic" && line == magic:
		return "head", nil
	case state == "head" && strings.HasPrefix(line, "#"):
		return "head", nil
	case state == "head" && words[0] == "argon2id" && len(words) == 5 && !c.sealed:
		c.sealed = true
		return "head", c.parseCost(words[1:])
	case state == "head" && words[0] == "primary" && len(words) == 2:
		return "keys", parseHex(c.primary[:], words[1])
	case state == "keys" && words[0] == "key" && len(words) == 3:
		return "keys", c.parseKey(words[1], words[2])
	}
	return "", fmt.Errorf("%w: unexpected line in its %s part", errMalformed, state)
}

func (c *contents) parseCost(words []string) error {
	var n [3]uint64
	for i, bits := range []int{32, 32, 8} {
		var err error
		n[i], err = strconv.ParseUint(words[i], 10, bits)
		if err != nil || strconv.FormatUint(n[i], 10) != words[i] {
			return fmt.Errorf("%w: Argon2id cost is not a number", errMalformed)
		}
	}
	c.cost = cost{time: uint32(n[0]), memory: uint32(n[1]), threads: uint8(n[2])}
	if err := c.cost.check(); err != nil {
		return err
	}
	return parseHex(c.salt[:], words[3])
}

func (c *contents) parseKey(idText, keyText string) error {
	var id keyID
	if err := parseHex(id[:], idText); err != nil {
		return err
	}
	size := keySize
	if c.sealed {
		size += encrypt.WrapOverhead
	}
	stored := make([]byte, size)
	if err := parseHex(stored, keyText); err != nil {
		return err
	}
	if _, twice := c.stored[id]; twice || len(c.ids) == maxKeys {
		return fmt.Errorf("%w: a key id comes twice, or there are too many", errMalformed)
	}
	c.ids = append(c.ids, id)
	c.stored[id] = stored
	return nil
}

// parseHex fills dst from exactly 2·len(dst) lower-case hex digits.
func parseHex(dst []byte, text string) error {
	if len(text) != 2*len(dst) || strings.ToLower(text) != text {
		return fmt.Errorf("%w: a field is not %d lower-case hex digits", errMalformed, 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(text)); err != nil {
		return fmt.Errorf("%w: a field is not hex", errMalformed) // hex's error would quote the key
	}
	return nil
}

// add stores a key, sealed under the passphrase key if there is one. The seal is
// bound to the id, so that no other sealed key can replace it.
func (c *contents) add(id keyID, key [keySize]byte, sealing *[keySize]byte) {
	c.ids = append(c.ids, id)
	c.stored[id] = key[:]
	if sealing != nil {
		c.stored[id] = encrypt.Wrap(*sealing, 0, purposeKey, id[:], key[:])
	}
}

// open returns the plain keys.
func (c *contents) open(passphrase []byte) (map[keyID][keySize]byte, error) {
	if c.sealed && len(passphrase) == 0 {
		return nil, fmt.Errorf("%w: it is protected by a passphrase and none was given", encrypt.ErrWrongKey)
	}
	if c.sealed && fips140.Enabled() {
		return nil, errNotApproved
	}
	if !c.sealed && len(passphrase) > 0 {
		return nil, errors.New("a passphrase was given, but the file is not protected by one")
	}
	var sealing [keySize]byte
	if c.sealed {
		sealing = c.cost.key(passphrase, c.salt[:])
	}
	keys := map[keyID][keySize]byte{}
	for _, id := range c.ids {
		key := c.stored[id]
		if c.sealed {
			var err error
			if key, err = encrypt.Unwrap(sealing, purposeKey, id[:], key); errors.Is(err, encrypt.ErrWrongKey) {
				return nil, fmt.Errorf("%w: the passphrase does not open it", encrypt.ErrWrongKey)
			} else if err != nil {
				return nil, err
			}
		}
		keys[id] = [keySize]byte(key)
	}
	return keys, nil
}
