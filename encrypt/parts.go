package encrypt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// PartGroup is the number of consecutive chosen parts that share one digest, and so
// the most part rows that must be read to serve one byte.
const PartGroup = 128

// Parts describes a body of chosen parts of a multipart upload. Their records stay
// in separate rows, each sealed under Key. The manifest fixes the chosen attempt of
// each part by a digest over every PartGroup of them: an edited, swapped or
// rolled-back row does not match.
type Parts struct {
	Bucket [16]byte // the bucket of the upload; a copied object may be in another
	Upload [16]byte
	Key    ObjectKey
	Runs   []Run
	Groups [][32]byte // GroupDigest of each group
}

// Run is Count chosen parts with consecutive numbers and Size bytes each.
type Run struct {
	First, Count uint32
	Size         int64
}

// ChosenPart is one part of a completed upload with its chosen attempt.
type ChosenPart struct {
	Number  uint32
	Attempt [16]byte
	Size    int64
}

// BuildParts describes a completed upload. The parts must be in ascending order of
// their numbers. There must be at least one.
func BuildParts(bucket, upload [16]byte, key ObjectKey, chosen []ChosenPart) (*Parts, error) {
	p := &Parts{Bucket: bucket, Upload: upload, Key: key}
	for _, c := range chosen {
		if n := len(p.Runs); n > 0 && p.Runs[n-1].Size == c.Size && p.Runs[n-1].end() == c.Number {
			p.Runs[n-1].Count++
		} else {
			p.Runs = append(p.Runs, Run{First: c.Number, Count: 1, Size: c.Size})
		}
	}
	for len(chosen) > 0 {
		n := min(PartGroup, len(chosen))
		p.Groups = append(p.Groups, GroupDigest(chosen[:n]))
		chosen = chosen[n:]
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return p, nil
}

// GroupDigest returns SHA-256 over number u32be ‖ attempt[16] ‖ size u64be of each
// part in turn.
func GroupDigest(parts []ChosenPart) [32]byte {
	b := make([]byte, 0, 28*len(parts))
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, p.Number)
		b = append(b, p.Attempt[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(p.Size))
	}
	return sha256.Sum256(b)
}

// end returns the number after the run's last.
func (r Run) end() uint32 { return r.First + r.Count }

// Count returns the number of chosen parts.
func (p *Parts) Count() int {
	n := 0
	for _, r := range p.Runs {
		n += int(r.Count)
	}
	return n
}

// Size returns the number of bytes of all chosen parts.
func (p *Parts) Size() int64 {
	var n int64
	for _, r := range p.Runs {
		n += int64(r.Count) * r.Size
	}
	return n
}

// Find returns the number of the part that holds the byte at off, and the byte's
// position in the part. ok is false outside 0..Size()-1.
func (p *Parts) Find(off int64) (number uint32, partOffset int64, ok bool) {
	if off < 0 {
		return 0, 0, false
	}
	for _, r := range p.Runs {
		if n := int64(r.Count) * r.Size; off >= n {
			off -= n
			continue
		}
		return r.First + uint32(off/r.Size), off % r.Size, true
	}
	return 0, 0, false
}

// PartRange returns the beginning of a part in the object, and its length. ok is
// false for a number that was not chosen.
func (p *Parts) PartRange(number uint32) (off, size int64, ok bool) {
	for _, r := range p.Runs {
		if number >= r.First && number < r.end() {
			return off + int64(number-r.First)*r.Size, r.Size, true
		}
		off += int64(r.Count) * r.Size
	}
	return 0, 0, false
}

// Index returns the number of chosen parts before a number: index/PartGroup is its
// group. ok is false for a number that was not chosen.
func (p *Parts) Index(number uint32) (index int, ok bool) {
	for _, r := range p.Runs {
		if number >= r.First && number < r.end() {
			return index + int(number-r.First), true
		}
		index += int(r.Count)
	}
	return 0, false
}

// GroupNumbers returns the part numbers of a group in order; none outside
// 0..len(Groups)-1.
func (p *Parts) GroupNumbers(group int) []uint32 {
	if group < 0 || group >= len(p.Groups) {
		return nil
	}
	skip := group * PartGroup
	var numbers []uint32
	for _, r := range p.Runs {
		for n := r.First + uint32(min(skip, int(r.Count))); n < r.end() && len(numbers) < PartGroup; n++ {
			numbers = append(numbers, n)
		}
		skip -= min(skip, int(r.Count))
	}
	return numbers
}

// VerifyGroup checks the part rows of a group against the manifest. It returns
// ErrCorrupt unless they are exactly the chosen attempts, in order.
func (p *Parts) VerifyGroup(group int, rows []ChosenPart) error {
	if group < 0 || group >= len(p.Groups) || GroupDigest(rows) != p.Groups[group] {
		return fmt.Errorf("%w: rows of part group %d are not those of the manifest", ErrCorrupt, group)
	}
	return nil
}

func (p *Parts) check() error {
	next, count, total := uint32(1), 0, int64(0)
	for _, r := range p.Runs {
		if r.First < next || r.First > MaxPartNumber || r.Count < 1 || r.Count > MaxPartNumber+1-r.First {
			return fmt.Errorf("part numbers from %d, %d of them, are out of order or bounds", r.First, r.Count)
		}
		if r.Size < 0 || r.Size > MaxObjectSize/MaxPartNumber {
			return fmt.Errorf("part size %d is out of bounds", r.Size)
		}
		next = r.end()
		count += int(r.Count)
		total += int64(r.Count) * r.Size
	}
	if count == 0 || total > MaxObjectSize || len(p.Groups) != (count+PartGroup-1)/PartGroup {
		return fmt.Errorf("%d parts of %d bytes in %d groups", count, total, len(p.Groups))
	}
	return nil
}
