package api

import (
	"errors"
	"net/url"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	renameSourceHeader = "X-Amz-Rename-Source"
	clientTokenHeader  = "X-Amz-Client-Token"
	// maxClientToken is in characters, all of printable ASCII.
	maxClientToken = 64
)

// renameObject gives an object another key in its bucket, atomically and
// without copying bytes. AWS has this operation for directory buckets only;
// here every bucket has it that never had versions. An object with SSE-C needs
// its key, in the headers of a GET.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
func renameObject(s *Server, r *Request) (*Reply, error) {
	in := engine.RenameObject{
		Bucket: r.Bucket, Source: r.source.key, Key: r.Target.Key,
		Asked: r.Header(renameSourceHeader), Asker: meta.ID(r.Principal.ID), Permit: r.permitSource,
	}
	var err error
	if in.Customer, err = r.customerKey(); err != nil {
		return nil, err
	}
	if in.SourceConditions, err = r.strictConditions(renameSourceHeader + "-"); err != nil {
		return nil, err
	}
	if in.Conditions, err = r.strictConditions(""); err != nil {
		return nil, err
	}
	in.SourceConditions.Replaces = r.replacesBy("s3:DeleteObject", r.source)
	in.Conditions.Replaces, in.Conditions.Judged = r.replacesBy("s3:PutObject", &r.object), r.judged()
	if in.Token, err = r.clientToken(); err != nil {
		return nil, err
	}
	if err := s.engine.RenameObject(r.Context(), in); err != nil {
		return nil, err
	}
	return &Reply{}, nil
}

// renameNeeds demands to write the new key, and to read and delete the old one:
// without one of these rights the sender could not do the same by copying. AWS
// demands a session of a directory bucket instead, for which anonymous senders
// have no credentials.
func renameNeeds(r *Request) ([]access.Need, error) {
	if r.Principal.Kind == access.Nobody {
		return nil, s3err.New(s3err.AccessDenied, "Anonymous users cannot rename objects. Please authenticate.")
	}
	if r.source == nil {
		r.object.open = renamedKeys
		write := r.need("s3:PutObject")
		if r.object.open = nil; !r.decide(write).Allow {
			return []access.Need{write}, nil // without the right to write, nothing is told of the source
		}
		key, err := r.renameSource()
		if err != nil {
			return nil, err
		}
		r.source = &object{bucket: r.Bucket, key: key}
	}
	return r.renamingNeeds()
}

// renamingNeeds returns the needs once the source is found. Without the right
// to read the object's tags, or to set them or an ACL at the new key, the
// sender must not bring them there.
func (r *Request) renamingNeeds() ([]access.Need, error) {
	was, err := r.marksOf(r.source)
	if err != nil && !isAbsent(err) {
		return nil, err
	}
	if r.object.context, err = r.keptConditions(&was); err != nil {
		return nil, err
	}
	needs := append(r.takeNeeds(r.source), r.need("s3:PutObject"))
	if len(was.Marks.Tags) > 0 {
		needs = append(needs, r.need("s3:PutObjectTagging"), r.needOn("s3:GetObjectTagging", r.source))
	}
	needs = append(needs, r.compareNeeds()...)
	if len(was.Marks.ACL) > 0 {
		needs = append(needs, r.need("s3:PutObjectAcl"))
	}
	return needs, nil
}

// takeNeeds are the rights that a rename needs at its source.
func (r *Request) takeNeeds(o *object) []access.Need {
	return []access.Need{r.needOn("s3:GetObject", o), r.needOn("s3:DeleteObject", o)}
}

// renameSource parses the key to rename, percent-encoded: /bucket/key,
// bucket/key, or the key alone, as in AWS's examples and clients. The bucket is
// the request's. A value that begins with the bucket's name but without a slash
// is ambiguous: it means whichever of the two keys exists, and is refused when
// both do.
func (r *Request) renameSource() (string, error) {
	value := r.Header(renameSourceHeader)
	if value == "" {
		return "", s3err.New(s3err.MissingSecurityHeader, "").With("MissingHeaderName", strings.ToLower(renameSourceHeader))
	}
	path, err := url.PathUnescape(value) // a plus stays: some clients do not encode keys
	if err != nil {
		return "", badRenameSource("Invalid rename source encoding", value)
	}
	key, qualified := strings.CutPrefix(strings.TrimPrefix(path, "/"), r.Target.Bucket+"/")
	switch {
	case strings.HasPrefix(path, "/") && !qualified:
		return "", badRenameSource("The source of a rename must be in the bucket of the request, as /bucket/key", value)
	case qualified && key == "":
		return "", badRenameSource("Invalid rename source object key", value)
	}
	if err := errors.Join(CheckKey(key), CheckKey(path)); err != nil {
		return "", err
	}
	if !qualified || strings.HasPrefix(path, "/") {
		return key, nil
	}
	return r.eitherSource(key, path, value)
}

// eitherSource decides whether a value means key within the bucket or whole, a
// key that begins with the bucket's name. A key that the sender may not rename
// is not meant.
func (r *Request) eitherSource(key, whole, value string) (string, error) {
	there := func(key string) (bool, error) {
		o := &object{bucket: r.Bucket, key: key}
		if !r.decide(r.takeNeeds(o)...).Allow {
			return false, nil
		}
		_, err := r.marksOf(o)
		if errors.Is(err, s3err.NoSuchKey) {
			return false, nil
		}
		return err == nil, err
	}
	if is, err := there(whole); !is || err != nil {
		return key, err
	}
	is, err := there(key)
	if is {
		err = badRenameSource("The rename source names two objects of the bucket: name it as /bucket/key", value)
	}
	return whole, err
}

// badRenameSource refuses a value of x-amz-rename-source.
func badRenameSource(message, value string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).
		With("ArgumentName", strings.ToLower(renameSourceHeader)).With("ArgumentValue", value)
}

// clientToken reads the token of a request that must take effect once only.
func (r *Request) clientToken() (string, error) {
	token := r.Header(clientTokenHeader)
	odd := strings.ContainsFunc(token, func(c rune) bool { return c < '!' || c > '~' })
	if r.HasHeader(clientTokenHeader) && (token == "" || len(token) > maxClientToken || odd) {
		return "", invalidHeader(strings.ToLower(clientTokenHeader), token)
	}
	return token, nil
}
