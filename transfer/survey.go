package transfer

import (
	"context"
	"net/http"
)

// survey counts the objects of the source. Its operator can read all of them,
// copied ones included, until they are deleted.
func (c *Copier) survey(ctx context.Context) (*Plaintext, error) {
	left := &Plaintext{}
	var err error
	for v, listErr := range c.from.versions(ctx) {
		if err = listErr; err != nil {
			break
		}
		switch {
		case v.marker:
			left.Markers++
		case v.latest:
			left.Current.add(v.size)
		default:
			left.Noncurrent.add(v.size)
		}
	}
	if unsupported(err) {
		*left = Plaintext{VersionsUnknown: err.Error()}
		err = nil
		// Without a listing of versions, the current objects can still be
		// counted.
		for e, listErr := range c.from.objects(ctx) {
			if err = listErr; err != nil {
				break
			}
			left.Current.add(e.size)
		}
	}
	if err != nil {
		return nil, err
	}
	left.Uploads, err = c.from.uploads(ctx)
	if unsupported(err) {
		left.UploadsUnknown, err = err.Error(), nil
	}
	return left, err
}

// unsupported reports whether the source does not offer, or does not permit, a
// listing.
func unsupported(err error) bool {
	switch refused(err, "source") {
	case http.StatusNotImplemented, http.StatusMethodNotAllowed, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

// add counts one object.
func (c *Count) add(size int64) {
	c.Objects++
	c.Bytes += size
}
