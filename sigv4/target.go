package sigv4

import (
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// MaxPathBytes bounds the path of a request target as it arrives. A key of
// 1,024 bytes takes three times as many when every byte is percent-encoded.
const MaxPathBytes = 8 << 10

// Target is a parsed request target. It is parsed once, so that the signed
// value and the value acted on are the same.
type Target struct {
	RawPath string // as it arrived; begins with "/"
	Path    string // RawPath, percent-decoded once
	Query   Query
	// HostBucket is the bucket that the Host header names, which Version 2
	// signs in front of the path; "" where the path names it. ParseTarget
	// leaves it to its caller.
	HostBucket string
}

// ParseTarget parses the request target of a request line,
// http.Request.RequestURI on a server. It cleans nothing: "//", "." and ".."
// are ordinary bytes. A path that is too long is a URITooLong. Malformed
// percent-encoding, control bytes and all forms other than the origin form of
// RFC 9112 are an InvalidURI.
func ParseTarget(requestURI string) (Target, error) {
	path, rawQuery, _ := strings.Cut(requestURI, "?")
	if len(path) > MaxPathBytes {
		return Target{}, s3err.URITooLong
	}
	if path == "" || path[0] != '/' {
		return Target{}, s3err.New(s3err.InvalidURI, "Couldn't parse the specified URI.")
	}
	decoded, ok := decode(path, false)
	if !ok {
		return Target{}, s3err.New(s3err.InvalidURI, "Couldn't parse the specified URI.")
	}
	q, err := ParseQuery(rawQuery)
	if err != nil {
		return Target{}, err
	}
	return Target{RawPath: path, Path: decoded, Query: q}, nil
}

// ReceivedTarget is ParseTarget for a server, which must also accept the
// absolute form: http://host/path. Then the named host is the request's,
// whatever its Host header says, and is the signed one. net/http has put it
// into http.Request.Host, which is host. Errors are those of ParseTarget;
// InvalidURI if the two differ.
// Source: RFC 9112, sections 3.2.2 and 3.3
func ReceivedTarget(requestURI, host string) (Target, error) {
	scheme, rest, absolute := strings.Cut(requestURI, "://")
	if !absolute || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return ParseTarget(requestURI)
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if authority == "" || authority != host {
		return Target{}, s3err.New(s3err.InvalidURI, "Couldn't parse the specified URI.")
	}
	rest = rest[len(authority):]
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest // an empty path means the same
	}
	return ParseTarget(rest)
}

// decode reverts percent-encoding, and "+" for a space in queries. It reports
// false for an incomplete escape or an unescaped control byte.
func decode(s string, plus bool) (string, bool) {
	plain := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return "", false
		case c == '%' || c == '+' && plus:
			plain = false
		}
	}
	if plain {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

// appendEncoded percent-encodes every byte except the unreserved ones of RFC
// 3986, with capital digits, as signatures demand. Slashes stay in paths.
func appendEncoded(b []byte, s string, keepSlash bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if unreserved[c] || c == '/' && keepSlash {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// unreserved are the unreserved characters of RFC 3986, section 2.3.
var unreserved = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" {
		t[c] = true
	}
	return t
}()

// unhex is the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
