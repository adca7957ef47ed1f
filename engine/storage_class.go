package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// labelClasses are storage classes that only are a label: nothing of an object
// changes with it but what listings show. They stand in the order in which a
// lifecycle may lead from one to another; those of which S3 demands a restore
// before a read are not among them.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
var labelClasses = []string{StandardClass, "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"}

// LabelClass reports whether a storage class is one of S3's that the gateway
// keeps as a label.
func LabelClass(class string) bool { return slices.Contains(labelClasses, class) }

// ClassRank is a label's place in the order in which a lifecycle may lead from one to
// another, the coldest last; -1 for a class that is no label.
func ClassRank(class string) int { return slices.Index(labelClasses, class) }

// PlaceClass reports whether a storage class names a configured backend: objects
// of that class are there, and transitions to it move them.
// The name of a backend that is spelled like a label is never a place.
func (e *Engine) PlaceClass(class string) bool {
	return !LabelClass(class) && e.blobs.Has(class)
}

// classPlace is the name of the backend that a storage class may be: empty for a label.
func classPlace(class string) string {
	if LabelClass(class) {
		return ""
	}
	return class
}

func invalidClass(class string) error {
	return s3err.New(s3err.InvalidStorageClass, "").With("StorageClassRequested", class)
}

// CheckClass refuses a storage class that an object of the bucket cannot have:
// InvalidStorageClass. Empty is STANDARD.
func (e *Engine) CheckClass(b meta.Bucket, class string) error {
	if class == "" || LabelClass(class) {
		return nil
	}
	if !e.PlaceClass(class) {
		return invalidClass(class)
	}
	_, _, err := e.blobs.Home(&b, class)
	return err
}

// errElsewhere ends the look at a body's blobs.
var errElsewhere = errors.New("a blob is elsewhere than at the place of its storage class")

// mayStay reports whether an object of these blobs can have the class without that
// they are copied.
// A blob that the ledger does not know is meta.ErrBodyGone: it was given up since the version was
// read.
func (e *Engine) mayStay(ctx context.Context, b *meta.Bucket, m *encrypt.Manifest) (bool, error) {
	home, bound, err := e.blobs.Home(b, classPlace(m.StorageClass))
	// Before err: with one backend there is no other place, so an error about it does not
	// matter.
	if !bound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	ids, err := e.blobsOf(ctx, m)
	if err != nil {
		return false, err
	}
	err = e.blobs.EachPlace(ctx, ids, func(_ meta.BlobID, at meta.BackendID) error {
		switch at {
		case 0:
			return meta.ErrBodyGone
		case home:
			return nil
		}
		return errElsewhere
	})
	if errors.Is(err, errElsewhere) {
		return false, nil
	}
	return err == nil, err
}
