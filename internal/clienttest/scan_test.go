package clienttest

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"
)

// kind is what a canary is a part of.
type kind string

const (
	inBody     kind = "body"
	inMetadata kind = "user metadata"
	inHeader   kind = "content header"
	inKey      kind = "key"
	inBucket   kind = "bucket name"
	ofBody     kind = "digest"
	isSecret   kind = "secret"
)

var allKinds = []kind{inBody, inMetadata, inHeader, inKey, inBucket, ofBody, isSecret}

// canary is something that must not be found where its kind has no place.
type canary struct {
	kind  kind
	name  string
	value []byte
}

// anchorLen is how many bytes of a form the scanner looks up at once. Shorter
// forms would be found by chance, and are left out.
const anchorLen = 8

// form is one way in which a canary can be written.
type form struct {
	*canary
	how  string
	text []byte
	// word forms count only between bytes that are no letters or digits: eight
	// hexadecimal digits occur by chance within longer numbers.
	word bool
}

// scanner finds many canaries in all their forms in one pass.
type scanner struct {
	canaries []*canary
	forms    map[[anchorLen]byte][]form
	maybe    [1 << 16]bool // by the first two bytes of a form
	scanned  int64
	files    int
}

// add plants a canary: everything that is read from now on is searched for it.
func (s *scanner) add(k kind, name string, value []byte) {
	c := &canary{k, name, bytes.Clone(value)}
	s.canaries = append(s.canaries, c)
	s.form(c, "raw", c.value)
	s.form(c, "lower-case hex", []byte(hex.EncodeToString(value)))
	s.form(c, "upper-case hex", []byte(strings.ToUpper(hex.EncodeToString(value))))
	s.form(c, "base32", []byte(strings.TrimRight(base32.StdEncoding.EncodeToString(value), "=")))
	s.form(c, "url-encoded", []byte(url.QueryEscape(string(value))))
	s.form(c, "percent signs", percent("%%%02X", value))
	s.form(c, "lower-case percent signs", percent("%%%02x", value))
	s.form(c, "16-bit characters", wide(value))
	s.form(c, "reversed", reversed(value))
	if k == ofBody { // a digest stands alone; the others are within something
		s.form(c, "base64", []byte(base64.StdEncoding.EncodeToString(value)))
		s.form(c, "base64 for URLs", []byte(base64.URLEncoding.EncodeToString(value)))
		return
	}
	for skip := range 3 {
		s.form(c, "base64", inside(base64.StdEncoding, value, skip))
		s.form(c, "base64 for URLs", inside(base64.URLEncoding, value, skip))
	}
}

func (s *scanner) form(c *canary, how string, text []byte) {
	if len(text) < anchorLen {
		return
	}
	f := form{canary: c, how: how, text: text, word: len(text) == anchorLen && how != "raw" && !bytes.HasSuffix(text, []byte("="))}
	if s.forms == nil {
		s.forms = make(map[[anchorLen]byte][]form)
	}
	anchor := [anchorLen]byte(text)
	if slices.ContainsFunc(s.forms[anchor], func(other form) bool { return bytes.Equal(other.text, text) && other.canary == c }) {
		return
	}
	s.forms[anchor] = append(s.forms[anchor], f)
	s.maybe[binary.BigEndian.Uint16(text)] = true
}

// inside is what is always the same in the base64 of something that has value
// at an offset of skip, modulo 3.
func inside(e *base64.Encoding, value []byte, skip int) []byte {
	text := e.EncodeToString(append(make([]byte, skip), value...))
	from := (skip*8 + 5) / 6
	to := (skip + len(value)) * 8 / 6
	return []byte(text[from:to])
}

func percent(format string, value []byte) (out []byte) {
	for _, b := range value {
		out = fmt.Appendf(out, format, b)
	}
	return out
}

func wide(value []byte) (out []byte) {
	for _, b := range value {
		out = append(out, b, 0)
	}
	return out
}

func reversed(value []byte) []byte {
	out := bytes.Clone(value)
	slices.Reverse(out)
	return out
}

// find returns the forms that text holds.
func (s *scanner) find(text []byte) (found []form) {
	s.scanned += int64(len(text))
	for i := 0; i+anchorLen <= len(text); i++ {
		if !s.maybe[binary.BigEndian.Uint16(text[i:])] {
			continue
		}
		for _, f := range s.forms[[anchorLen]byte(text[i:i+anchorLen])] {
			end := i + len(f.text)
			if !bytes.HasPrefix(text[i:], f.text) || f.word && (i > 0 && alphanumeric(text[i-1]) || end < len(text) && alphanumeric(text[end])) {
				continue
			}
			if !slices.ContainsFunc(found, func(g form) bool { return g.canary == f.canary && g.how == f.how }) {
				found = append(found, f)
			}
		}
	}
	return found
}

func alphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// absent demands that no canary of the given kinds is in a file, in any file
// below a folder, or in a name there.
func (s *scanner) absent(t *testing.T, path string, kinds ...kind) {
	t.Helper()
	for _, h := range s.search(t, path) {
		if slices.Contains(kinds, h.kind) {
			t.Errorf("%s has a %s: %s, as %s", h.file, h.kind, h.name, h.how)
		}
	}
}

// hit is a form that was found in a file or its name.
type hit struct {
	form
	file string
}

// search reads a file or a folder. Files that go away meanwhile are passed over.
func (s *scanner) search(t *testing.T, path string) (hits []hit) {
	t.Helper()
	must(t, filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		} else if err != nil {
			return err
		}
		text := []byte(file + "\n")
		if !e.IsDir() {
			body, err := os.ReadFile(file)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			text = append(text, body...)
			s.files++
		}
		for _, f := range s.find(text) {
			hits = append(hits, hit{form: f, file: file})
		}
		return nil
	}))
	return hits
}

// digests plants every digest of a body that a client may send or ask for.
func (s *scanner) digests(name string, body []byte) {
	sum5, sum1, sum256 := md5.Sum(body), sha1.Sum(body), sha256.Sum256(body)
	s.add(ofBody, "MD5 of "+name, sum5[:])
	s.add(ofBody, "SHA-1 of "+name, sum1[:])
	s.add(ofBody, "SHA-256 of "+name, sum256[:])
	s.add(ofBody, "CRC32 of "+name, binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	s.add(ofBody, "CRC32C of "+name, binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))))
	s.add(ofBody, "CRC64NVME of "+name, binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(body)))
}

// unique is a word that is nowhere else, of letters and digits that are written
// the same in names, headers and URLs.
func unique() string { return "canary" + strings.ToLower(rand.Text()) }

// TestScanner shows that the scanner would find what it is there to find: each
// kind of canary in each form, wherever it lies, and nothing that is not there.
func TestScanner(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 8*mib)
	rand.Read(noise)
	var s scanner
	body := []byte(unique())
	s.digests("a body", bytes.Repeat(body, 100))
	for _, k := range allKinds {
		if k != ofBody {
			s.add(k, string(k), []byte(unique()))
		}
	}
	if found := s.find(noise); len(found) > 0 {
		t.Errorf("found in random bytes: %+v", found)
	}
	file := filepath.Join(t.TempDir(), "planted")
	for _, c := range s.canaries {
		quoted, err := json.Marshal(string(c.value))
		must(t, err)
		written := map[string][]byte{
			"hex": []byte(hex.EncodeToString(c.value)), "HEX": fmt.Appendf(nil, "%X", c.value), "url": []byte(url.QueryEscape(string(c.value))),
			"base64": []byte(base64.StdEncoding.EncodeToString(c.value)), "base64 for URLs": []byte(base64.URLEncoding.EncodeToString(c.value)),
		}
		if len(c.value) >= anchorLen {
			written["raw"], written["percent"] = c.value, percent("%%%02X", c.value)
		} else {
			delete(written, "url") // as long as the escapes that chance has left
		}
		if c.kind != ofBody {
			written["JSON"] = quoted
			for i := range 3 {
				written[fmt.Sprint("within base64 ", i)] = []byte(base64.StdEncoding.EncodeToString(append(noise[:i:i], string(c.value)+"and so on"...)))
			}
		}
		for how, text := range written {
			for _, at := range []int{0, 65531, 100_000 - len(text)} {
				planted := bytes.Clone(noise[:100_000])
				copy(planted[at:], text)
				if at > 0 {
					planted[at-1] = ' '
				}
				if end := at + len(text); end < len(planted) {
					planted[end] = ' '
				}
				must(t, os.WriteFile(file, planted, 0o600))
				hits := s.search(t, file)
				if len(hits) == 0 || slices.ContainsFunc(hits, func(h hit) bool { return h.canary != c }) {
					t.Errorf("%s %s, as %s at %d: found %+v", c.kind, c.name, how, at, hits)
				}
			}
		}
	}
	name := filepath.Join(filepath.Dir(file), string(s.canaries[len(s.canaries)-1].value))
	must(t, os.WriteFile(name, nil, 0o600))
	if hits := s.search(t, filepath.Dir(file)); !slices.ContainsFunc(hits, func(h hit) bool { return h.file == name }) {
		t.Errorf("a file's name: found %+v", hits)
	}
	t.Logf("%d canaries in %d forms", len(s.canaries), len(s.forms))
}
