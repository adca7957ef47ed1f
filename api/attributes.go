package api

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	metadataPrefix = "x-amz-meta-"
	// maxMetadata bounds the user metadata of an object, in bytes: the names,
	// without the prefix, and the values.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	maxMetadata = 2 << 10
	// maxRedirect bounds x-amz-website-redirect-location, in bytes.
	maxRedirect = 2 << 10

	defaultContentType = "binary/octet-stream"
	standardClass      = "STANDARD"
	// folderType is the type of the empty objects that mounts and consoles make
	// for folders.
	folderType = "application/x-directory"
)

// objectAttributes reads the attributes of the object that a request creates.
func (r *Request) objectAttributes() (engine.Attributes, error) {
	a := engine.Attributes{
		ContentType:        r.Header("Content-Type"),
		ContentEncoding:    sigv4.StripChunked(r.Header("Content-Encoding")),
		ContentLanguage:    r.Header("Content-Language"),
		ContentDisposition: r.Header("Content-Disposition"),
		CacheControl:       r.Header("Cache-Control"),
		Expires:            r.Header("Expires"),
		WebsiteRedirect:    r.asked.redirect.value,
	}
	// A client that sent no type would get back one that mounts take for a
	// file.
	if a.ContentType == "" && r.HTTP.ContentLength == 0 && strings.HasSuffix(r.Target.Key, "/") {
		a.ContentType = folderType
	}
	if err := checkRedirect(a.WebsiteRedirect); err != nil {
		return a, err
	}
	var err error
	if a.StorageClass, err = r.storageClass(); err != nil {
		return a, err
	}
	a.Metadata, err = userMetadata(r.HTTP.Header)
	return a, err
}

// storageClass reads x-amz-storage-class. STANDARD is the empty string; the
// engine refuses unknown classes.
func (r *Request) storageClass() (string, error) {
	class := r.asked.class.value
	if !r.asked.class.given || class == standardClass {
		return "", nil
	}
	if class == "" {
		return "", s3err.New(s3err.InvalidStorageClass, "").With("StorageClassRequested", class)
	}
	return class, nil
}

// checkRedirect accepts a path within the bucket or an http URL.
func checkRedirect(location string) error {
	if len(location) > maxRedirect {
		return s3err.New(s3err.InvalidArgument, "The length of website redirect location cannot exceed 2,048 characters.").
			With("ArgumentName", "x-amz-website-redirect-location")
	}
	if location == "" || strings.HasPrefix(location, "/") || strings.HasPrefix(location, "http://") || strings.HasPrefix(location, "https://") {
		return nil
	}
	return s3err.InvalidRedirectLocation
}

// userMetadata collects the x-amz-meta-* headers, sorted by name. Repeated
// headers are joined by commas; values are kept byte for byte.
func userMetadata(h http.Header) ([]engine.Pair, error) {
	joined := make(map[string]string)
	for name, values := range h {
		if name, ok := strings.CutPrefix(strings.ToLower(name), metadataPrefix); ok {
			if name == "" {
				return nil, invalidHeader(metadataPrefix, strings.Join(values, ","))
			}
			joined[name] = strings.Join(values, ",")
		}
	}
	var pairs []engine.Pair
	size := 0
	for name, value := range joined {
		size += len(name) + len(value)
		pairs = append(pairs, engine.Pair{Name: name, Value: value})
	}
	if size > maxMetadata {
		return nil, s3err.New(s3err.MetadataTooLarge, "").
			With("Size", decimal(size)).With("MaxSizeAllowed", decimal(maxMetadata))
	}
	slices.SortFunc(pairs, func(a, b engine.Pair) int { return strings.Compare(a.Name, b.Name) })
	return pairs, nil
}

// encodeMetadata makes a metadata value fit for a header. Printable US-ASCII
// stays as it is; everything else becomes one RFC 2047 encoded word. Bytes that
// are not UTF-8 are taken for ISO 8859-1, as HTTP defines header values.
func encodeMetadata(value string) string {
	plain := true
	for _, c := range []byte(value) {
		plain = plain && (c >= ' ' && c < 0x7f || c == '\t')
	}
	if plain {
		return value
	}
	if !utf8.ValidString(value) {
		runes := make([]rune, 0, len(value))
		for _, c := range []byte(value) {
			runes = append(runes, rune(c))
		}
		value = string(runes)
	}
	return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
}

// setObject sets the headers of a GET or HEAD that describe the object.
func setObject(h http.Header, o engine.Object) {
	setETag(h, o.ETag)
	h.Set("Last-Modified", httpTime(o.Modified))
	h.Set("Accept-Ranges", "bytes")
	setVersion(h, o.Version)
	h.Set("Content-Type", o.ContentType)
	if o.ContentType == "" {
		h.Set("Content-Type", defaultContentType)
	}
	for name, value := range map[string]string{
		"Content-Encoding":                o.ContentEncoding,
		"Content-Language":                o.ContentLanguage,
		"Content-Disposition":             o.ContentDisposition,
		"Cache-Control":                   o.CacheControl,
		"Expires":                         o.Expires,
		"X-Amz-Website-Redirect-Location": o.WebsiteRedirect,
		"X-Amz-Storage-Class":             o.StorageClass,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	for _, p := range o.Metadata {
		// Lowercase, unlike net/http's form: clients pass the name on as it
		// comes.
		h[metadataPrefix+p.Name] = []string{encodeMetadata(p.Value)}
	}
}

// shownClass is a storage class as documents show it.
func shownClass(class string) string {
	if class == "" {
		return standardClass
	}
	return class
}

// quote is an entity tag as headers and documents show it.
func quote(etag string) string { return `"` + etag + `"` }

// setETag sets the header in S3's spelling. net/http would send Etag, which
// some clients do not recognize.
func setETag(h http.Header, etag string) { h["ETag"] = []string{quote(etag)} }

// httpTime is a time as headers show it.
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// responseOverrides are query parameters that replace headers of the answer.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
var responseOverrides = map[string]string{
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    "Content-Encoding",
	"response-content-language":    "Content-Language",
	"response-content-type":        "Content-Type",
	"response-expires":             "Expires",
}

// setOverrides applies response-* parameters. Only a signed request may change
// how an object is presented. Control characters are refused, so that a value
// cannot end its header line.
func (r *Request) setOverrides(h http.Header) error {
	for parameter, name := range responseOverrides {
		if !r.HasQuery(parameter) {
			continue
		}
		if r.Principal.Anonymous() {
			return s3err.New(s3err.InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		}
		value := r.QueryValue(parameter)
		if hasControl(value) {
			return s3err.New(s3err.InvalidArgument, "Header value cannot be represented using ISO-8859-1.").
				With("ArgumentName", parameter)
		}
		if value != "" {
			h.Set(name, value)
		}
	}
	return nil
}
