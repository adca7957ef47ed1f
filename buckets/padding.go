package buckets

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// PaddingSetting is the name of a bucket's setting.
const PaddingSetting = "padding"

// Padding says how the lengths of a bucket's new blobs are hidden. Blobs that are there
// keep the length that they have.
type Padding string

// The paddings that a bucket can have.
const (
	PaddingNone  Padding = "none"  // a blob's length tells that of its plaintext
	PaddingPadme Padding = "padme" // of encrypt.PaddedSize
)

// ParsePadding reads the name of a padding. Errors: InvalidArgument.
func ParsePadding(name string) (Padding, error) {
	switch p := Padding(name); p {
	case PaddingNone, PaddingPadme:
		return p, nil
	}
	return "", s3err.New(s3err.InvalidArgument, "A bucket's padding is %s or %s.", PaddingNone, PaddingPadme)
}

// Padding reads that of a bucket, PaddingNone where nothing was set. An error fails
// closed: a blob of its true length cannot be taken back.
// Other settings may be broken: a padding that can be read holds.
func (bs *Buckets) Padding(ctx context.Context, b meta.Bucket) (Padding, error) {
	s, err := bs.ReadableSettings(ctx, b)
	if err != nil {
		return "", err
	}
	p, set, err := Parsed(s, PaddingSetting, parsePadding)
	if err == nil && !set {
		p = PaddingNone
	}
	return p, err
}

// The document is the padding's name. PaddingNone has no document, so one that says so was not
// written here.
func parsePadding(document []byte) (Padding, error) {
	if p := Padding(document); p == PaddingPadme {
		return p, nil
	}
	return "", fmt.Errorf("padding %q is not known", document)
}

// SetPadding sets it for all writes that begin from now on, also where the present one
// cannot be read.
func (bs *Buckets) SetPadding(ctx context.Context, b meta.Bucket, p Padding) error {
	var document []byte
	if p != PaddingNone {
		document = []byte(p)
	}
	return bs.SetSetting(ctx, b, PaddingSetting, document)
}
