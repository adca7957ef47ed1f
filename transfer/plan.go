package transfer

import (
	"context"
	"net/http"
)

// plan is the division of an object into parts.
type plan struct {
	count int
	// size is the size of each part but the last; 0: the source is asked for
	// its parts by number.
	size int64
	// exact tells that these are the boundaries of the source.
	exact bool
}

// piece is part i, counted from 0, of an object of total bytes.
func (p plan) piece(i int, total int64) piece {
	if p.size == 0 {
		return piece{part: i + 1}
	}
	if total == 0 {
		return piece{}
	}
	off := int64(i) * p.size
	return piece{ranged: true, off: off, n: min(p.size, total-off)}
}

// plan finds the boundaries of the source. It asks for a part, whose answer
// tells the number of parts; it guesses a size; or it uses parts of its own.
func (c *Copier) plan(ctx context.Context, t *task) (plan, error) {
	n := partsOf(t.etag)
	if n == 0 || t.fixed {
		return ownPlan(t.size), nil
	}
	o, err := c.from.head(ctx, t.key, t.etag, 1)
	switch status := refused(err, "source"); {
	case err == nil && o.parts == n:
		return plan{count: n, exact: true}, nil
	// Any other refusal means that the server does not support partNumber.
	case err != nil && (status/100 != 4 || status == http.StatusPreconditionFailed || status == http.StatusNotFound || status == http.StatusForbidden):
		return plan{}, err
	}
	if size := guessPartSize(t.size, n); size > 0 {
		return plan{count: n, size: size}, nil
	}
	return ownPlan(t.size), nil
}

// ownPlan uses parts of ownPartSize, or larger ones of whole mebibytes.
func ownPlan(total int64) plan {
	size := int64(ownPartSize)
	if total > size*maxParts {
		size = roundUp(total, maxParts)
	}
	return plan{count: max(1, int((total+size-1)/size)), size: size}
}

// usualPartSizes are the part sizes of common clients, in MiB: 5 (the minimum
// of S3, rclone, the minimum of minio-go), 8 (aws-cli, boto3), 15 (s3cmd), 16
// (minio client), and usual configurations.
var usualPartSizes = []int64{8, 5, 16, 15, 64, 10, 20, 25, 32, 50, 100, 128, 256, 512, 1024}

// guessPartSize returns a part size that divides total bytes into n parts; 0:
// none. A wrong guess costs the ETag and nothing else.
func guessPartSize(total int64, n int) int64 {
	fits := func(size int64) bool { return (total+size-1)/size == int64(n) }
	for _, m := range usualPartSizes {
		if fits(m * mebibyte) {
			return m * mebibyte
		}
	}
	if total > 0 {
		if size := roundUp(total, n); fits(size) && size <= maxPut {
			return size
		}
	}
	return 0
}

// roundUp is total/n, rounded up to whole mebibytes.
func roundUp(total int64, n int) int64 {
	each := (total + int64(n) - 1) / int64(n)
	return (each + mebibyte - 1) / mebibyte * mebibyte
}
