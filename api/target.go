package api

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/strict"
)

// Target is what a request line and its Host name. It is decoded exactly once,
// so that access and engine see the value that was signed.
type Target struct {
	Bucket string // empty: the service
	Key    string // empty: the bucket. Bytes as sent, "//", "." and ".." included
	Query  sigv4.Query
	// VirtualHost: the bucket came from the Host header.
	VirtualHost bool
	// Control is the path after controlPath in a request of S3 Control. Bucket
	// is then the bucket that this path names, if any.
	Control string
	// Signed is the target as it arrived, for the signature and for <Resource>.
	Signed sigv4.Target
}

// ParseTarget parses a request target (http.Request.RequestURI) and a Host
// (http.Request.Host). Below one of the domains, the label before it is the
// bucket; otherwise the first segment of the path is. Errors: BadRequest for a
// malformed Host, InvalidURI, URITooLong, KeyTooLong, InvalidBucketName.
func ParseTarget(requestURI, host string, domains []string) (Target, error) {
	if !isHost(host) {
		return Target{}, s3err.New(s3err.BadRequest, "An error occurred when parsing the HTTP request.")
	}
	signed, err := sigv4.ReceivedTarget(requestURI, host)
	if err != nil {
		return Target{}, err
	}
	signed.HostBucket = hostBucket(host, domains)
	t := Target{Query: signed.Query, Signed: signed}
	path := signed.Path[1:]
	if bucket := signed.HostBucket; bucket != "" {
		t.Bucket, t.Key, t.VirtualHost = bucket, path, true
	} else {
		t.Bucket, t.Key, _ = strings.Cut(path, "/")
		if t.Bucket == "" && path != "" {
			// "//key": an empty bucket name does not mean the service.
			return Target{}, s3err.InvalidBucketName
		}
	}
	return t, checkTarget(t)
}

// checkTarget checks bytes and lengths only. A bucket name that S3 does not
// allow names no bucket; CreateBucket alone refuses it.
func checkTarget(t Target) error {
	if !utf8.ValidString(t.Bucket) {
		return s3err.InvalidBucketName
	}
	return CheckKey(t.Key)
}

// controlPath begins the paths of S3 Control, version 2018-08-20.
const controlPath = "/v20180820/"

// ofControl returns the target as one of S3 Control if its path begins with
// controlPath and the header names an account. No S3 request has that header,
// so that a bucket may be named v20180820. The host is the gateway's own, or
// begins with the account, as SDKs build it.
func (t Target) ofControl(h http.Header) Target {
	account := h.Get(accountHeader)
	path, ok := strings.CutPrefix(t.Signed.Path, controlPath)
	if !ok || path == "" || account == "" || t.VirtualHost && t.Bucket != account {
		return t
	}
	t.Control, t.Bucket, t.Key, t.VirtualHost = path, "", "", false
	if name, ok := strings.CutPrefix(path, "tags/"+bucketARNPrefix); ok {
		t.Bucket = name
	}
	return t
}

// resolve finds the operation that a request for the target means.
func (t Target) resolve(method string, h http.Header) (*Operation, error) {
	if t.Control != "" {
		return resolveControl(method, t.Control)
	}
	return Resolve(method, t.Scope(), t.Query, h)
}

// CheckKey refuses names that no object can have: longer than meta.MaxKeyBytes
// bytes, or not UTF-8. The caller handles the empty key.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func CheckKey(key string) error {
	if err := meta.CheckKey(key); err != nil && key != "" {
		return err
	}
	if !utf8.ValidString(key) {
		return s3err.New(s3err.InvalidURI, "The object key is not valid UTF-8.")
	}
	return nil
}

// checkClimb refuses keys that, as a path, would lead above their bucket. A
// client that restores objects as files would write outside of its folder.
// DELETE is allowed, so that such keys of earlier releases can be removed.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func checkClimb(method, key string) error {
	if method == http.MethodDelete || !climbs(key) {
		return nil
	}
	return s3err.New(s3err.InvalidURI, "Couldn't parse the specified URI.")
}

// climbs reports whether some prefix of the key has more ".." segments than
// named segments.
func climbs(key string) bool {
	depth := 0
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// checkPrefix refuses prefixes that would make the gateway itself write keys
// that checkClimb denies to clients.
func checkPrefix(prefix string) error {
	if climbs(prefix + "name") {
		return s3err.New(s3err.InvalidArgument, "The prefix leads above its bucket.").With("ArgumentName", "Prefix").With("ArgumentValue", prefix)
	}
	return CheckKey(prefix)
}

// Scope is the kind of resource that the target names.
func (t Target) Scope() Scope {
	switch {
	case t.Control != "":
		return ControlScope
	case t.Bucket == "":
		return Service
	case t.Key == "":
		return BucketScope
	}
	return ObjectScope
}

// Resource is the decoded path with the bucket, as error documents show it.
func (t Target) Resource() string {
	if t.VirtualHost {
		return "/" + t.Bucket + t.Signed.Path
	}
	return t.Signed.Path
}

// isHost reports whether a Host header can name a host, with or without a port.
// net/http has checked the characters; those that would end a host elsewhere
// are refused here. Names need not be valid in DNS: names within a deployment
// often are not. HTTP/1.0 may send none.
// Source: RFC 9110, section 7.2
func isHost(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
		if _, ok := strict.Number(port, math.MaxUint16); !ok && port != "" {
			return false
		}
	}
	if address, ok := strings.CutPrefix(name, "["); ok {
		address, ok = strings.CutSuffix(address, "]")
		ip, err := netip.ParseAddr(address)
		return ok && err == nil && ip.Is6()
	}
	if strings.ContainsAny(name, "/\\?#@:[]<>\"^`{|} ") {
		return false
	}
	return host == "" || name != "" && name[0] != '.' && !strings.Contains(name, "..")
}

// hostBucket returns the bucket of a virtual-hosted Host: all labels before the
// longest matching domain. Ports are ignored; case does not matter.
func hostBucket(host string, domains []string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	best := ""
	for _, d := range domains {
		d = strings.ToLower(strings.Trim(d, "."))
		if len(d) > len(best) && (host == d || strings.HasSuffix(host, "."+d)) {
			best = d
		}
	}
	if best == "" || len(host) == len(best) {
		return ""
	}
	return host[:len(host)-len(best)-1]
}
