package backends

import "fmt"

// Pages of a listing in a row that an adapter takes: MaxEmptyPages that lead to no
// higher name, and MaxForeignPages without a blob. A service may send short pages or
// leave out what it has just deleted, and the place may hold other things, but not
// for ever.
const (
	MaxEmptyPages   = 16
	MaxForeignPages = 10_000
)

// Progress holds a listing that comes in pages to what Backend.List promises, and to
// leading on. An adapter calls Page before each page, then Name for each name of it,
// and Blob for those that are blobs'. It belongs to one listing.
type Progress struct {
	name           string // the highest one seen, a blob's or another
	last           BlobID
	empty, foreign int // pages in a row, the present one included
}

// NewProgress begins after a blob, whose name at the backend is given as well; the
// zero id and no name begin at the first.
func NewProgress(after BlobID, name string) *Progress { return &Progress{name: name, last: after} }

// Page begins another page. It returns ErrCorrupt when those before led nowhere.
func (p *Progress) Page() error {
	if p.empty > MaxEmptyPages || p.foreign > MaxForeignPages {
		return fmt.Errorf("%w: the listing does not advance: %d pages lead to no higher name, %d hold no blob", ErrCorrupt, p.empty, p.foreign)
	}
	p.empty, p.foreign = p.empty+1, p.foreign+1
	return nil
}

// Name notes a name of the page.
func (p *Progress) Name(name string) {
	if name > p.name {
		p.name, p.empty = name, 0
	}
}

// Blob notes a blob of the page. It returns ErrCorrupt for one that is not above all
// before, or has an impossible size.
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
