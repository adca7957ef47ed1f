package transfer

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Limits of S3.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	maxPut   = 5 << 30
	maxParts = 10000
)

const (
	mebibyte = 1 << 20
	// maxUploadID bounds the id of an upload, in bytes, because it is part of
	// URLs and of lines in the journal.
	maxUploadID = 2 << 10
	// ownPartSize is the size of parts that do not follow the source. It is
	// larger if there would be too many parts.
	ownPartSize = 64 * mebibyte
)

// upload is an open multipart upload.
type upload struct {
	c      *Copier
	t      *task
	key    string
	id     string
	source *object
	plan   plan
	sum    checksum // the checksum to compute: algorithm and kind; and the source's value, if it can be compared
	pieces []proven
	etags  []string
}

// multipart copies an object in parts, with the boundaries of the source if
// they are known.
func (c *Copier) multipart(ctx context.Context, t *task) (_ *copied, err error) {
	o, err := c.from.head(ctx, t.key, t.etag, 0)
	if err != nil {
		return nil, err
	}
	if o.size != t.size || o.etag != t.etag {
		// As if If-Match had failed: copyObject then refreshes the task and
		// begins again.
		return nil, &answerError{role: "source", Status: http.StatusPreconditionFailed, Code: "PreconditionFailed"}
	}
	u := &upload{c: c, t: t, key: c.name(t.key), source: o}
	if u.plan, err = c.plan(ctx, t); err != nil {
		return nil, err
	}
	u.sum = u.checksum()
	u.pieces, u.etags = make([]proven, u.plan.count), make([]string, u.plan.count)
	if err := u.create(ctx); err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done {
			// If the object was completed and only the answer was lost, there
			// is no upload, which abort accepts.
			err = errors.Join(err, u.abort(ctx))
		}
	}()
	if err := eachOf(ctx, u.plan.count, u.part); err != nil {
		return nil, err
	}
	if err := u.whole(); err != nil {
		return nil, err
	}
	t.sent = &copied{source: o, pieces: u.pieces, etag: u.etag(), unproven: !u.provenBySource()}
	ans, err := u.complete(ctx)
	if err != nil {
		return nil, err
	}
	done = true
	if err := c.journal.ended(u.id); err != nil {
		return nil, err
	}
	algorithm, value := u.sum.algorithm, u.combined()
	if value == "" {
		algorithm = "" // the checksum of the whole is not known here; those of the parts were compared
	}
	sure, err := c.answered(ans, t.sent.etag, algorithm, value)
	t.sent.etag, t.sent.mustRead = ans.etag, !sure
	return t.sent, err
}

// checksum chooses the checksum of the upload: that of the source, so that the
// target keeps it as well, or our own.
func (u *upload) checksum() checksum {
	have := u.source.checksum
	switch {
	case !u.c.to.Checksums:
		return checksum{}
	// A SHA of the whole cannot be combined from those of the parts.
	case have.algorithm == "" || have.whole() && strings.HasPrefix(have.algorithm, "SHA"):
		return checksum{algorithm: ownAlgorithm, kind: fullObject}
	case have.whole():
		return checksum{have.algorithm, have.value, fullObject}
	case u.plan.exact:
		return checksum{have.algorithm, have.value, composite}
	}
	return checksum{algorithm: have.algorithm, kind: composite} // the source's value is for other parts
}

// provenBySource reports whether the source has a digest of all bytes.
func (u *upload) provenBySource() bool { return u.promised() || u.sum.value != "" }

// promised reports whether the target's ETag must be the same as the source's.
func (u *upload) promised() bool {
	return u.plan.exact && partsOf(u.t.etag) > 0 && !u.source.foreignKey && !u.c.from.OpaqueETags
}

// etag is the entity tag that the target must give to the upload.
func (u *upload) etag() string {
	var sums [][]byte
	for _, p := range u.pieces {
		sums = append(sums, p.md5.Sum(nil))
	}
	return etagOfParts(sums)
}

// combined is the checksum of the whole object; empty if it cannot be computed
// from the parts.
func (u *upload) combined() string {
	if u.sum.kind != composite {
		return u.sum.value
	}
	h := algorithms[u.sum.algorithm]()
	for _, p := range u.pieces {
		h.Write(p.digests.sum.Sum(nil))
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(u.pieces))
}

// whole checks, before the object is created, that the parts are complete and
// have the digests of the source.
func (u *upload) whole() error {
	var n int64
	for i := range u.pieces {
		u.pieces[i].off = n
		n += u.pieces[i].n
	}
	if n != u.t.size {
		return final{fmt.Errorf("the parts of the source have %d bytes in total, the object %d", n, u.t.size)}
	}
	if u.promised() && u.etag() != u.t.etag || u.sum.kind == composite && u.sum.value != "" && u.combined() != u.sum.value {
		return errWrong
	}
	return nil
}

// create begins the upload at the target and records it in the journal.
func (u *upload) create(ctx context.Context) error {
	in := u.c.to.call(http.MethodPost, u.key)
	in.query = url.Values{"uploads": {""}}
	in.header = u.source.attributes.Clone()
	if u.sum.algorithm != "" {
		in.header.Set("X-Amz-Checksum-Algorithm", u.sum.algorithm)
		in.header.Set("X-Amz-Checksum-Type", u.sum.kind)
	}
	var doc struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}
	// If an answer is lost and the call repeated, an upload whose id is unknown
	// stays open. The target ends it when it expires.
	err := u.c.to.again(ctx, func() error {
		text, _, err := u.c.to.document(ctx, in)
		if err != nil {
			return err
		}
		return xml.Unmarshal(text, &doc)
	})
	if err != nil {
		return err
	}
	if doc.UploadID == "" || len(doc.UploadID) > maxUploadID {
		return final{fmt.Errorf("target: it began an upload with an id of %d bytes", len(doc.UploadID))}
	}
	u.id = doc.UploadID
	// The upload is recorded before its first part. A later run with this
	// journal aborts it if this one is killed.
	return u.c.journal.began(u.id, u.key)
}

// part copies part i, counted from 0, with retries.
func (u *upload) part(ctx context.Context, i int) error {
	return u.c.to.again(ctx, func() error { return u.tryPart(ctx, i) })
}

// tryPart copies part i once.
func (u *upload) tryPart(ctx context.Context, i int) (err error) {
	ctx, w, stop := u.c.watched(ctx)
	defer stop()
	defer func() { err = cause(ctx, err) }()
	o, err := u.c.from.get(ctx, u.t.key, u.t.etag, u.plan.piece(i, u.t.size))
	if err != nil {
		return err
	}
	defer o.body.Close()
	if o.size > u.t.size {
		return final{fmt.Errorf("source: part %d has %d bytes, the object %d", i+1, o.size, u.t.size)}
	}
	p := &proof{digests: newDigests(u.sum.algorithm, u.c.Verify == VerifyRead)}
	body := &held{r: o.body, to: io.MultiWriter(p, w), left: o.size, check: p.check}
	in := u.c.to.call(http.MethodPut, u.key)
	in.query = url.Values{"partNumber": {strconv.Itoa(i + 1)}, "uploadId": {u.id}}
	in.body, in.size, in.algorithm, in.sum = body, o.size, u.sum.algorithm, p.value
	if o.size == 0 {
		if err := body.finish(); err != nil {
			return err
		}
	}
	ans, err := u.c.to.put(ctx, in)
	if err != nil {
		return err
	}
	if _, err := u.c.answered(ans, p.digests.etag(), p.algorithm, p.value()); err != nil {
		return err
	}
	// Parts are copied at once, each into elements of its own.
	u.pieces[i], u.etags[i] = proven{n: o.size, digests: p.digests}, ans.etag
	return nil
}

// completion is the document that completes an upload.
type completion struct {
	XMLName xml.Name        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

// completedPart is a part in that document. Its checksums have the algorithm in
// the element's name.
type completedPart struct {
	ETag      string `xml:"ETag"`
	Number    int    `xml:"PartNumber"`
	Checksums []element
}

// element is an element of any name with text.
type element struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// complete creates the object from the parts.
func (u *upload) complete(ctx context.Context) (written, error) {
	var doc completion
	for i, p := range u.pieces {
		part := completedPart{ETag: `"` + u.etags[i] + `"`, Number: i + 1}
		if u.sum.algorithm != "" {
			part.Checksums = []element{{xml.Name{Local: "Checksum" + u.sum.algorithm}, p.value()}}
		}
		doc.Parts = append(doc.Parts, part)
	}
	in := u.c.to.call(http.MethodPost, u.key)
	in.query = url.Values{"uploadId": {u.id}}
	condition(in.header, u.t.at)
	if u.sum.kind == fullObject && u.sum.value != "" {
		in.header.Set(checksumHeader(u.sum.algorithm), u.sum.value)
		in.header.Set("X-Amz-Checksum-Type", fullObject)
	}
	var err error
	if in.document, err = xml.Marshal(doc); err != nil {
		return written{}, err
	}
	var ans written
	// If only the answer is lost, the repetition is refused, and claim finds the
	// object.
	err = u.c.to.again(ctx, func() error {
		text, h, err := u.c.to.document(ctx, in)
		if err != nil {
			return err
		}
		ans, err = u.c.to.completed(text, h, u.sum.algorithm)
		return err
	})
	return ans, err
}

// completed reads the answer to CompleteMultipartUpload. Its status may be 200
// for an error, which has another root element.
func (p place) completed(text []byte, h http.Header, algorithm string) (written, error) {
	var doc struct {
		XMLName xml.Name  `xml:"CompleteMultipartUploadResult"`
		ETag    string    `xml:"ETag"`
		Rest    []element `xml:",any"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return written{}, fmt.Errorf("%s: the answer cannot be read: %w", p.role, err)
	}
	ans := written{etag: strings.Trim(doc.ETag, `"`), foreignKey: foreignKey(h)}
	for _, e := range doc.Rest {
		if algorithm != "" && e.XMLName.Local == "Checksum"+algorithm {
			ans.checksum = checksum{algorithm: algorithm, value: e.Value}
		}
	}
	return ans, nil
}

// abort ends the upload without an object, even if ctx has ended. A failure is
// logged only, because the target removes old uploads itself.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := u.c.to.abort(ctx, u.key, u.id); err != nil {
		u.c.Log.Warn("an upload was left open; the target ends it when it expires", "key", u.key, "upload", u.id, "error", err)
		return nil
	}
	return u.c.journal.ended(u.id)
}

// abort aborts an upload. An absent upload is no error.
func (p place) abort(ctx context.Context, key, id string) error {
	in := p.call(http.MethodDelete, key)
	in.query = url.Values{"uploadId": {id}}
	return p.again(ctx, func() error {
		_, _, err := p.document(ctx, in)
		if refused(err, p.role) == http.StatusNotFound {
			return nil
		}
		return err
	})
}

// abortLeftovers aborts the uploads that an earlier run with this journal could
// not end because it was killed.
func (c *Copier) abortLeftovers(ctx context.Context) {
	for id, key := range c.journal.open {
		u := &upload{c: c, key: key, id: id}
		if err := u.abort(ctx); err != nil {
			c.Log.Warn("the journal cannot be written", "error", err)
		}
	}
}
