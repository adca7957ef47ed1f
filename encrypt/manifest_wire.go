package encrypt

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The .proto text in docs/format.md has the field numbers.

func appendManifest(b []byte, m *Manifest) []byte {
	b = appendUint(b, 1, uint64(m.Size))
	b = appendText(b, 2, m.ETag)
	if m.Checksum != nil {
		b = appendText(b, 3, appendChecksum(nil, m.Checksum))
	}
	for i, s := range m.headers() {
		b = appendText(b, 4+protowire.Number(i), *s)
	}
	b = appendPairs(b, 12, m.Metadata)
	b = appendPairs(b, 13, m.Tags)
	b = appendText(b, 14, m.Inline)
	b = appendExtents(b, 15, m.Extents)
	if m.Parts != nil {
		b = appendText(b, 16, appendParts(nil, m.Parts))
	}
	return appendText(b, 17, m.Marks)
}

// headers returns fields 4 to 11 in order.
func (m *Manifest) headers() [8]*string {
	return [8]*string{&m.ContentType, &m.ContentEncoding, &m.ContentLanguage, &m.ContentDisposition,
		&m.CacheControl, &m.Expires, &m.WebsiteRedirect, &m.StorageClass}
}

func appendPart(b []byte, r *PartRecord) []byte {
	b = appendUint(b, 1, uint64(r.Size))
	b = appendText(b, 2, r.MD5[:])
	if r.Checksum != nil {
		b = appendText(b, 3, appendChecksum(nil, r.Checksum))
	}
	return appendExtents(b, 4, r.Extents)
}

func appendChecksum(b []byte, c *Checksum) []byte {
	b = appendText(b, 1, c.Algorithm)
	b = appendText(b, 2, c.Type)
	b = appendText(b, 3, c.Value)
	return appendUint(b, 4, uint64(c.Parts))
}

func appendPairs(b []byte, num protowire.Number, pairs []Pair) []byte {
	for _, p := range pairs {
		b = appendText(b, num, appendText(appendText(nil, 1, p.Name), 2, p.Value))
	}
	return b
}

func appendExtents(b []byte, num protowire.Number, extents []Extent) []byte {
	var buf []byte
	for i := range extents {
		e := &extents[i]
		buf = appendText(buf[:0], 1, e.Blob[:])
		buf = appendText(buf, 2, e.Key[:])
		buf = appendText(buf, 3, e.Seal.IV[:])
		buf = appendText(buf, 4, e.Seal.Tag[:])
		buf = appendUint(buf, 5, uint64(e.BlobSize))
		buf = appendUint(buf, 6, uint64(e.Offset))
		buf = appendUint(buf, 7, uint64(e.Length))
		b = appendText(b, num, buf)
	}
	return b
}

func appendParts(b []byte, p *Parts) []byte {
	b = appendText(b, 1, p.Bucket[:])
	b = appendText(b, 2, p.Upload[:])
	b = appendText(b, 3, p.Key[:])
	for _, r := range p.Runs {
		run := appendUint(nil, 1, uint64(r.First))
		run = appendUint(run, 2, uint64(r.Count))
		b = appendText(b, 4, appendUint(run, 3, uint64(r.Size)))
	}
	for i := range p.Groups {
		b = appendText(b, 5, p.Groups[i][:])
	}
	return b
}

// The only repeated fields of a manifest, of a part record, and of parts.
const (
	repeatedManifest = 1<<12 | 1<<13 | 1<<15
	repeatedPart     = 1 << 4
	repeatedParts    = 1<<4 | 1<<5
)

// decodeManifest keeps slices of b.
func decodeManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifest {
		return nil, fmt.Errorf("%w: manifest of %d bytes", ErrCorrupt, len(b))
	}
	m := new(Manifest)
	headers := m.headers()
	f := fields{what: "manifest", rest: b, repeated: repeatedManifest}
	for f.next() {
		switch num := f.num; {
		case num == 1:
			m.Size = f.size()
		case num == 2:
			m.ETag = f.text()
		case num == 3:
			m.Checksum = f.checksum()
		case num >= 4 && num <= 11:
			*headers[num-4] = f.text()
		case num == 12:
			m.Metadata = append(m.Metadata, f.pair())
		case num == 13:
			m.Tags = append(m.Tags, f.pair())
		case num == 14:
			m.Inline = f.data()
		case num == 15:
			m.Extents = append(m.Extents, f.extent())
		case num == 16:
			m.Parts = f.parts()
		case num == 17:
			m.Marks = f.data()
		default:
			f.unknown()
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrCorrupt, err)
	}
	return m, nil
}

func decodePart(b []byte) (*PartRecord, error) {
	if len(b) > MaxManifest {
		return nil, fmt.Errorf("%w: part record of %d bytes", ErrCorrupt, len(b))
	}
	r := new(PartRecord)
	f := fields{what: "part", rest: b, repeated: repeatedPart}
	seen := false
	for f.next() {
		switch f.num {
		case 1:
			r.Size = f.size()
		case 2:
			f.fixed(r.MD5[:])
			seen = true
		case 3:
			r.Checksum = f.checksum()
		case 4:
			r.Extents = append(r.Extents, f.extent())
		default:
			f.unknown()
		}
	}
	if f.err == nil && !seen {
		f.refuse("no MD5")
	}
	if f.err != nil {
		return nil, f.err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: part: %w", ErrCorrupt, err)
	}
	return r, nil
}

func (f *fields) checksum() *Checksum {
	c := new(Checksum)
	f.into("checksum", 0, func(f *fields) {
		for f.next() {
			switch f.num {
			case 1:
				c.Algorithm = f.text()
			case 2:
				c.Type = f.text()
			case 3:
				c.Value = f.data()
			case 4:
				c.Parts = int(f.uint(MaxPartNumber))
			default:
				f.unknown()
			}
		}
	})
	return c
}

func (f *fields) pair() (p Pair) {
	f.into("pair", 0, func(f *fields) {
		for f.next() {
			switch f.num {
			case 1:
				p.Name = f.text()
			case 2:
				p.Value = f.text()
			default:
				f.unknown()
			}
		}
	})
	return p
}

func (f *fields) extent() (e Extent) {
	f.into("extent", 0, func(f *fields) {
		fixed := 0
		for f.next() {
			switch f.num {
			case 1:
				f.fixed(e.Blob[:])
				fixed++
			case 2:
				f.fixed(e.Key[:])
				fixed++
			case 3:
				f.fixed(e.Seal.IV[:])
				fixed++
			case 4:
				f.fixed(e.Seal.Tag[:])
				fixed++
			case 5:
				e.BlobSize = f.size()
			case 6:
				e.Offset = f.size()
			case 7:
				e.Length = f.size()
			default:
				f.unknown()
			}
		}
		if fixed != 4 {
			f.refuse("incomplete")
		}
	})
	return e
}

func (f *fields) parts() *Parts {
	p := new(Parts)
	f.into("parts", repeatedParts, func(f *fields) {
		fixed := 0
		for f.next() {
			switch f.num {
			case 1:
				f.fixed(p.Bucket[:])
				fixed++
			case 2:
				f.fixed(p.Upload[:])
				fixed++
			case 3:
				f.fixed(p.Key[:])
				fixed++
			case 4:
				p.Runs = append(p.Runs, f.run())
			case 5:
				var g [32]byte
				f.fixed(g[:])
				p.Groups = append(p.Groups, g)
			default:
				f.unknown()
			}
		}
		if fixed != 3 {
			f.refuse("incomplete")
		}
	})
	return p
}

func (f *fields) run() (r Run) {
	f.into("run", 0, func(f *fields) {
		for f.next() {
			switch f.num {
			case 1:
				r.First = uint32(f.uint(MaxPartNumber))
			case 2:
				r.Count = uint32(f.uint(MaxPartNumber))
			case 3:
				r.Size = f.size()
			default:
				f.unknown()
			}
		}
	})
	return r
}
