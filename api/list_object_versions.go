package api

import (
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// versionListing is a ListObjectVersions with its answer. It writes its own
// XML, like listing.
type versionListing struct {
	listing
	keyMarker     string
	versionMarker string // as given
	versions      engine.VersionPage
}

// listObjectVersions lists all versions and delete markers, ordered by the
// bytes of the key and, within a key, newest first.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func listObjectVersions(s *Server, r *Request) (*Reply, error) {
	common, err := s.readListing(r)
	if err != nil {
		return nil, err
	}
	l := &versionListing{listing: *common, keyMarker: r.QueryValue("key-marker"), versionMarker: r.QueryValue("version-id-marker")}
	after, err := r.versionMarker(l.keyMarker)
	// A page of zero entries needs no look at the store. It is not truncated,
	// as on S3.
	if err != nil || l.maxKeys == 0 {
		return &Reply{XML: l}, err
	}
	l.versions, err = s.engine.ListVersions(r.Context(), meta.VersionQuery{
		Bucket: r.Bucket.ID, Prefix: l.prefix, Delimiter: l.delimiter,
		AfterKey: l.keyMarker, AfterVersion: after, Limit: l.maxKeys,
	})
	return &Reply{XML: l}, err
}

// versionMarker parses version-id-marker, which needs a key-marker.
func (r *Request) versionMarker(key string) (meta.VersionRef, error) {
	if !r.HasQuery("version-id-marker") {
		return meta.VersionRef{}, nil
	}
	value := r.QueryValue("version-id-marker")
	switch {
	case value == "" && r.HasQuery("key-marker"):
		return meta.VersionRef{}, nil
	case value == "":
		return meta.VersionRef{}, s3err.New(s3err.InvalidArgument, "A version-id marker cannot be empty.").
			With("ArgumentName", "version-id-marker").With("ArgumentValue", "")
	case key == "":
		return meta.VersionRef{}, s3err.New(s3err.InvalidArgument, "A version-id marker cannot be specified without a key marker.").
			With("ArgumentName", "version-id-marker").With("ArgumentValue", value)
	}
	ref, err := engine.ParseVersion(value)
	if err != nil {
		return ref, s3err.New(s3err.InvalidArgument, "Invalid version id specified").
			With("ArgumentName", "version-id-marker").With("ArgumentValue", value)
	}
	return ref, nil
}

// AppendXML writes ListVersionsResult.
func (l *versionListing) AppendXML(b []byte) []byte {
	b = openRoot(b, "ListVersionsResult")
	b = appendElement(b, "Name", l.bucket)
	b = l.appendName(b, "Prefix", l.prefix)
	b = l.appendName(b, "KeyMarker", l.keyMarker)
	b = appendElement(b, "VersionIdMarker", l.versionMarker)
	if l.versions.More {
		b = l.appendName(b, "NextKeyMarker", l.versions.NextKey)
		if next := l.versions.NextVersion; !next.IsZero() {
			b = appendElement(b, "NextVersionIdMarker", next.String())
		}
	}
	b = appendInt(b, "MaxKeys", int64(l.maxKeys))
	if l.delimiter != "" {
		b = l.appendName(b, "Delimiter", l.delimiter)
	}
	if l.encode {
		b = appendElement(b, "EncodingType", "url")
	}
	b = appendBool(b, "IsTruncated", l.versions.More)
	// All common prefixes follow all versions, as in S3's answers.
	for i := range l.versions.Entries {
		if e := &l.versions.Entries[i]; e.CommonPrefix == "" {
			b = l.appendVersion(b, e)
		}
	}
	for i := range l.versions.Entries {
		if p := l.versions.Entries[i].CommonPrefix; p != "" {
			b = l.appendPrefix(b, p)
		}
	}
	return closeTag(b, "ListVersionsResult")
}

// appendVersion writes a Version or a DeleteMarker, which has no content.
func (l *versionListing) appendVersion(b []byte, e *engine.VersionEntry) []byte {
	element := "Version"
	if e.Marker {
		element = "DeleteMarker"
	}
	b = openTag(b, element)
	b = l.appendName(b, "Key", e.Key)
	b = appendElement(b, "VersionId", e.Version.String())
	b = appendBool(b, "IsLatest", e.Latest)
	b = appendTime(b, "LastModified", e.Modified)
	if !e.Marker {
		b = appendContent(b, &e.ObjectEntry)
	}
	b = l.appendOwner(b, e.Owner)
	if !e.Marker {
		b = appendElement(b, "StorageClass", shownClass(e.StorageClass))
	}
	return closeTag(b, element)
}
