package backends

import "fmt"

// Limits on consecutive pages of a listing: MaxEmptyPages without a higher name,
// and MaxForeignPages without a blob. A service may send short pages or leave out
// recently deleted names, and the place may hold other things, but not for ever.
const (
	MaxEmptyPages   = 16
	MaxForeignPages = 10_000
)

// Progress checks that a listing in pages advances and keeps the promises of
// Backend.List. An adapter calls Page before each page, then Name for each name of
// it, and Blob for the names of blobs. It belongs to one listing.
type Progress struct {
	name           string // the highest name seen, of a blob or of anything else
	last           BlobID
	empty, foreign int // consecutive pages, including the current one
}

// NewProgress begins after a blob, with its name at the backend. The zero id and no
// name begin at the first blob.
func NewProgress(after BlobID, name string) *Progress { return &Progress{name: name, last: after} }

// Page begins another page. It returns ErrCorrupt when the listing does not
// advance.
func (p *Progress) Page() error {
	if p.empty > MaxEmptyPages || p.foreign > MaxForeignPages {
		return fmt.Errorf("%w: the listing does not advance: %d pages lead to no higher name, %d hold no blob", ErrCorrupt, p.empty, p.foreign)
	}
	p.empty, p.foreign = p.empty+1, p.foreign+1
	return nil
}

// Name records a name of the page.
func (p *Progress) Name(name string) {
	if name > p.name {
		p.name, p.empty = name, 0
	}
}

// Blob records a blob of the page. It returns ErrCorrupt for a blob that is not
// above all before it, or has an impossible size.
func (p *Progress) Blob(i Info) error {
	if i.ID.Compare(p.last) <= 0 {
		return fmt.Errorf("%w: the listing has %s after %s", ErrCorrupt, i.ID, p.last)
	}
	if i.Size < 0 {
		return fmt.Errorf("%w: blob %s is listed with %d bytes", ErrCorrupt, i.ID, i.Size)
	}
	p.last, p.foreign = i.ID, 0
	return nil
}
