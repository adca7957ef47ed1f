package sigv4

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// MaxTrailers bounds the trailing headers of a body. S3 clients send one.
	MaxTrailers = 16
	// MaxTrailerLine bounds one trailing header with its line end, in bytes.
	MaxTrailerLine = 1 << 10

	trailerSignature = "x-amz-trailer-signature"
)

// declared checks the names in x-amz-trailer and returns them in lower case.
func declared(names []string) ([]string, error) {
	if len(names) > MaxTrailers {
		return nil, s3err.MalformedTrailer
	}
	var lower []string
	for _, n := range names {
		n = strings.ToLower(strings.TrimSpace(n))
		if n == "" || !isLowerToken(n) || n == trailerSignature || slices.Contains(lower, n) {
			return nil, s3err.MalformedTrailer
		}
		lower = append(lower, n)
	}
	return lower, nil
}

// readTrailers reads the part after the empty chunk, up to its blank line:
//
//	name ":" value [CR] LF                            for each declared name
//	[CR LF] "x-amz-trailer-signature:" 64 hex CR LF   when signed
//	CR LF
//
// Some clients, such as minio-go, end a trailer with a line feed alone and
// write one more blank line, as AWS's documentation shows it.
func (c *chunked) readTrailers() error {
	// spare is set by the one blank line that may precede the signature.
	spare := false
	for {
		name, value, err := c.trailerLine()
		switch {
		case err != nil:
			return err
		case name == "" && c.chain == nil:
			c.skipBlank()
			return c.allTrailers()
		case name == "" && !spare:
			spare = true
		case name == trailerSignature && c.chain != nil:
			if err := c.allTrailers(); err != nil {
				return err
			}
			return c.verifyTrailers(value)
		case name == "" || spare:
			return s3err.MalformedTrailer
		default:
			if err := c.addTrailer(name, value); err != nil {
				return err
			}
		}
	}
}

// trailerLine returns the next name, in lower case, and its value. A blank line
// has an empty name.
func (c *chunked) trailerLine() (name, value string, err error) {
	line, err := c.line(MaxTrailerLine)
	if err != nil {
		return "", "", err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(line) == 0 {
		return "", "", nil
	}
	name, value, ok := strings.Cut(string(line), ":")
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	if !ok || name == "" || !isLowerToken(name) {
		return "", "", s3err.MalformedTrailer
	}
	for i := 0; i < len(value); i++ {
		if value[i] < 0x20 || value[i] >= 0x7f {
			return "", "", s3err.MalformedTrailer
		}
	}
	return name, value, nil
}

// addTrailer accepts only declared trailers, each once.
func (c *chunked) addTrailer(name, value string) error {
	key := http.CanonicalHeaderKey(name)
	if !slices.Contains(c.declared, name) || c.trailer[key] != nil {
		return s3err.MalformedTrailer
	}
	c.trailer[key] = []string{value}
	if c.sum != nil {
		// The signed text has a line feed alone, whatever line end arrived.
		c.sum.Write([]byte(name + ":" + value + "\n"))
	}
	return nil
}

// allTrailers refuses a body that lacks a declared trailer.
func (c *chunked) allTrailers() error {
	if len(c.trailer) != len(c.declared) {
		return s3err.MalformedTrailer
	}
	return nil
}

// verifyTrailers checks the signature of the trailers, which ends the body.
func (c *chunked) verifyTrailers(given string) error {
	c.chain.trailers(c.sum)
	if !c.chain.equals([]byte(given)) {
		return s3err.SignatureDoesNotMatch
	}
	return c.crlf()
}

// skipBlank skips one more blank line. A body that ends here is no error.
func (c *chunked) skipBlank() {
	if next, err := c.in.Peek(2); err == nil && string(next) == "\r\n" {
		c.in.Discard(2)
	}
}

// tooSmall refuses a chunk below MinChunkSize, as S3 does.
func tooSmall(number int, size int64) error {
	return s3err.New(s3err.InvalidChunkSize, "").
		With("Chunk", strconv.Itoa(number)).
		With("BadChunkSize", strconv.FormatInt(size, 10))
}
