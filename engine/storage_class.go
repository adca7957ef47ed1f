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
func (e *Engine) PlaceClass(class string) bool {
	return !LabelClass(class) && e.configuredAs(class) != nil
}

// classed is the backend that a storage class names; false for a label.
func (s *places) classed(class string) (meta.Backend, bool) {
	if class == "" || LabelClass(class) {
		return meta.Backend{}, false
	}
	return s.named(class)
}

// homeOf is where a new blob of an object of the class goes: the backend that the
// class names, or while that is draining, where it drains to; else the bucket's.
// InvalidStorageClass where the bucket demands another place than the class's.
func (s *places) homeOf(b *meta.Bucket, class string) (*place, error) {
	row, ok := s.classed(class)
	if !ok {
		return s.home(b)
	}
	if row.State == meta.BackendDraining {
		row.ID = row.Drain.Target
	}
	p, err := s.at(row.ID)
	if err != nil {
		return nil, err
	}
	if !p.meets(b.Residency) {
		return nil, invalidClass(class)
	}
	return p, nil
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
	_, err := e.registry.now.Load().homeOf(&b, class)
	return err
}

// mayStay reports whether an object of these blobs can have the class without that
// they are copied.
func (e *Engine) mayStay(ctx context.Context, b *meta.Bucket, m *encrypt.Manifest) (bool, error) {
	s := e.registry.now.Load()
	if _, ok := s.classed(m.StorageClass); !ok || s.only != nil {
		return true, nil
	}
	home, err := s.homeOf(b, m.StorageClass)
	if err != nil {
		return false, err
	}
	ids, err := e.blobsOf(ctx, m)
	if err != nil {
		return false, err
	}
	err = e.eachPlace(ctx, ids, func(_ meta.BlobID, at meta.BackendID) error {
		switch at {
		case 0:
			return meta.ErrBodyGone
		case home.id:
			return nil
		}
		return errElsewhere
	})
	if errors.Is(err, errElsewhere) {
		return false, nil
	}
	return err == nil, err
}
