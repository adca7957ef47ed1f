package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// probing finds out a server's abilities by tests, each on a new object. An unclear
// result counts as not supported. If the server is unreachable, throttles or denies
// access, the probe fails: a wrong result would last as long as the gateway runs.
type probing struct {
	b    *Backend
	keys []string
}

// probe replaces the table's abilities by the server's.
func (b *Backend) probe(ctx context.Context) error {
	p := &probing{b: b}
	err := p.ask(ctx)
	return errors.Join(err, p.clean(ctx))
}

func (p *probing) ask(ctx context.Context) error {
	d := &p.b.dialect
	d.ConditionalComplete = false // testing it would cost an upload; Put checks with HEAD instead
	var err error
	for _, question := range []struct {
		answer *bool
		ask    func(context.Context) (bool, error)
	}{
		{&d.MD5ETag, p.md5ETag},
		{&d.Conditional, p.conditional},
		{&d.CRC32C, p.checksum},
		{&d.Trailers, p.trailer},
		{&d.Streaming, p.streaming},
	} {
		if *question.answer, err = question.ask(ctx); err != nil {
			return err
		}
	}
	d.Echo = d.CRC32C // checksum has verified it
	d.Trailers = d.Trailers && d.CRC32C
	return nil
}

func (p *probing) newKey() string {
	key := p.b.opts.Prefix + ".probe-" + rand.Text()
	p.keys = append(p.keys, key)
	return key
}

// settled turns an error into a "no" if the server refuses this kind of request.
func (p *probing) settled(ctx context.Context, x *exchange, err error) error {
	if err == nil {
		return nil
	}
	name, status := code(err)
	if status == http.StatusNotImplemented || name == "NotImplemented" || name == "SignatureDoesNotMatch" {
		return nil // Ceph and others sign unknown forms of bodies differently
	}
	switch err := p.b.failed(ctx, x, err); {
	case errors.Is(err, backends.ErrUnavailable), errors.Is(err, backends.ErrDenied), errors.Is(err, backends.ErrFull),
		errors.Is(err, ErrNoBucket), backends.Ended(ctx) != nil:
		return err
	}
	return nil
}

// put sends the probe's text with the hash that plain HTTP needs.
func (p *probing) put(ctx context.Context, key string, opts minio.PutObjectOptions) (minio.UploadInfo, *exchange, error) {
	opts.DisableContentSha256 = true
	rctx, x := observed(ctx)
	h := p.b.leading(probeText, true)
	info, err := p.b.core.PutObject(rctx, p.b.opts.Bucket, key, bytes.NewReader(probeText), int64(len(probeText)), "", h.sha256, opts)
	return info, x, err
}

func (p *probing) md5ETag(ctx context.Context) (bool, error) {
	info, x, err := p.put(ctx, p.newKey(), minio.PutObjectOptions{})
	if err != nil { // a plain PUT must work
		return false, p.b.failed(ctx, x, err)
	}
	return strings.EqualFold(info.ETag, p.b.leading(probeText, false).sent.md5) && !kmsKey(x), nil
}

// conditional: the second of two equal writes is refused.
func (p *probing) conditional(ctx context.Context) (bool, error) {
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*")
	key := p.newKey()
	if _, x, err := p.put(ctx, key, opts); err != nil {
		return false, p.settled(ctx, x, err)
	}
	_, x, err := p.put(ctx, key, opts)
	if name, status := code(err); name == "PreconditionFailed" || status == http.StatusPreconditionFailed {
		return true, nil
	}
	return false, p.settled(ctx, x, err)
}

// checksum: a right CRC32C is repeated, a wrong one is refused.
func (p *probing) checksum(ctx context.Context) (bool, error) {
	right := encodeCRC(crc32.Checksum(probeText, castagnoli))
	wrong := encodeCRC(^crc32.Checksum(probeText, castagnoli))
	info, x, err := p.put(ctx, p.newKey(), minio.PutObjectOptions{UserMetadata: map[string]string{crc32cHeader: right}})
	if err != nil || info.ChecksumCRC32C != right {
		return false, p.settled(ctx, x, err)
	}
	_, x, err = p.put(ctx, p.newKey(), minio.PutObjectOptions{UserMetadata: map[string]string{crc32cHeader: wrong}})
	return err != nil, p.settled(ctx, x, err)
}

// trailer: a body with its CRC32C behind it is stored without its framing. None is
// sent over plain HTTP.
func (p *probing) trailer(ctx context.Context) (bool, error) {
	if !p.b.secure {
		return false, nil
	}
	return p.framed(ctx, minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C})
}

// streaming: a body that is signed in chunks is stored without its framing. Over
// TLS, a body without a trailer has no framing, so there is nothing to test.
func (p *probing) streaming(ctx context.Context) (bool, error) {
	if p.b.secure {
		return true, nil
	}
	return p.framed(ctx, minio.PutObjectOptions{})
}

func (p *probing) framed(ctx context.Context, opts minio.PutObjectOptions) (bool, error) {
	key := p.newKey()
	rctx, x := observed(ctx)
	_, err := p.b.core.PutObject(rctx, p.b.opts.Bucket, key, bytes.NewReader(probeText), int64(len(probeText)), "", "", opts)
	if err != nil {
		return false, p.settled(ctx, x, err)
	}
	got, err := p.b.readAll(ctx, key)
	return bytes.Equal(got, probeText), err
}

// clean removes the probes, and thereby tests DeleteObjects.
func (p *probing) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if len(p.keys) == 0 {
		return nil
	}
	p.b.dialect.BulkDelete = p.b.deleteBulk(ctx, p.keys) == nil
	if p.b.dialect.BulkDelete {
		return nil
	}
	return p.b.deleteEach(ctx, p.keys)
}
