package api

import (
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// listingTurn waits until a listing may ask the store. One with a delimiter asks as often
// as it finds common prefixes, over one connection, of which there are few: those of one
// tenant take turns, so that they leave connections to everybody else. Those of nobody
// are the bucket's owner's. leave is called when the store has answered. SlowDown when
// it takes longer than the store may.
func (s *Server) listingTurn(r *Request, delimiter string) (leave func(), err error) {
	if delimiter == "" {
		return func() {}, nil
	}
	payer := r.Owner()
	if payer.IsZero() {
		payer = r.Bucket.Owner
	}
	within, done := meta.Patiently(r.Context())
	defer done()
	if leave, err = s.listings.Enter(within, payer); err != nil && r.Context().Err() == nil {
		err = s3err.SlowDown
	}
	return leave, err
}
