package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// recheck gives the manifest of a copy of a version the checksum that it has on S3: one of all
// its bytes, never one composed of those of parts, of the algorithm that was asked
// for or that of the source. CRCs follow from those of the parts; for any other the
// bytes are read. A source that S3 would not copy in one request, for it is larger
// than MaxBodySize, keeps a composite checksum rather than be read unasked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (e *Engine) recheck(ctx context.Context, v *meta.Version, m *encrypt.Manifest, asked string) error {
	known := m.Checksum
	algorithm := asked
	if algorithm == "" && known != nil {
		algorithm = known.Algorithm
	}
	if algorithm == "" || known != nil && known.Algorithm == algorithm && known.Type != Composite {
		return nil
	}
	value, err := e.combinedChecksum(ctx, m, algorithm)
	err = e.damage.Row(v, err)
	if err == nil && value == nil {
		if asked == "" && m.Size > MaxBodySize {
			return nil
		}
		value, err = e.readChecksum(ctx, v, m, algorithm)
	}
	if err != nil {
		return err
	}
	m.Checksum = &encrypt.Checksum{Algorithm: algorithm, Type: FullObject, Value: value}
	return nil
}

// combinedChecksum is the CRC of an object as it follows from those of its parts,
// or nil where the algorithm is no CRC, or a part is without.
// It reads rows and no blob, whatever the size of the object.
func (e *Engine) combinedChecksum(ctx context.Context, m *encrypt.Manifest, algorithm string) (sum []byte, err error) {
	if _, ok := crcPolynomials[algorithm]; !ok || m.Parts == nil {
		return nil, nil
	}
	w := partWalk{e: e, ctx: ctx, parts: m.Parts}
	for group := range m.Parts.Groups {
		for _, number := range m.Parts.GroupNumbers(group) {
			record, err := w.record(number)
			if err != nil {
				return nil, fmt.Errorf("combine the checksums of parts: %w", err)
			}
			c := record.Checksum
			switch {
			case c == nil || c.Algorithm != algorithm || c.Type == Composite:
				return nil, nil
			case sum == nil:
				sum = c.Value
			default:
				if sum, _ = combineCRC(algorithm, sum, c.Value, record.Size); sum == nil {
					return nil, nil
				}
			}
		}
	}
	return sum, nil
}

// readChecksum computes a checksum of an object's bytes.
// It reads the whole object, up to MaxBodySize where the client did not ask for the algorithm
// itself.
func (e *Engine) readChecksum(ctx context.Context, v *meta.Version, m *encrypt.Manifest, algorithm string) ([]byte, error) {
	src := e.newSource(ctx, v, m, 0, m.Size)
	defer src.Close()
	h := NewChecksumHash(algorithm)
	n, err := io.Copy(h, src)
	if err != nil {
		return nil, err
	}
	// A stream that ends early must not give a checksum that would vouch for the shorter object.
	if n != m.Size {
		return nil, io.ErrUnexpectedEOF
	}
	return h.Sum(nil), nil
}
