package encrypt

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Records are encoded in the protobuf wire format (docs/format.md has the .proto
// text), narrowed so that each value has exactly one encoding: fields in order,
// zero scalars and empty byte strings left out, shortest varints, no unknown
// fields. A decoder refuses any other record.

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendText[T string | []byte](b []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(len(v)))
	return append(b, v...)
}

// fields reads one message. Its first error lasts and ends the reading.
type fields struct {
	what     string
	rest     []byte
	repeated uint32 // bit n: field n may occur more than once
	num      protowire.Number
	kind     protowire.Type
	number   uint64
	bytes    []byte
	err      error
}

// next moves to the next field and reports whether there is one.
func (f *fields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	last := f.num
	tag, n := f.varint()
	if n == 0 {
		return false
	}
	f.num, f.kind = protowire.DecodeTag(tag)
	if f.num < last || f.num == last && f.repeated>>last&1 == 0 || f.num > 31 {
		return f.refuse("field %d out of order", f.num)
	}
	if f.number, n = f.varint(); n == 0 {
		return false
	}
	switch f.kind {
	case protowire.VarintType:
		return f.number != 0 || f.refuse("field %d is zero", f.num)
	case protowire.BytesType:
		if f.number == 0 || f.number > uint64(len(f.rest)) {
			return f.refuse("field %d has length %d", f.num, f.number)
		}
		f.bytes, f.rest = f.rest[:f.number:f.number], f.rest[f.number:]
		return true
	}
	return f.refuse("field %d has wire type %d", f.num, f.kind)
}

// varint consumes a shortest-form varint; n is 0 on failure.
func (f *fields) varint() (v uint64, n int) {
	v, n = protowire.ConsumeVarint(f.rest)
	if n <= 0 || n != protowire.SizeVarint(v) {
		f.refuse("bad varint")
		return 0, 0
	}
	f.rest = f.rest[n:]
	return v, n
}

func (f *fields) refuse(format string, args ...any) bool {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s: %s", ErrCorrupt, f.what, fmt.Sprintf(format, args...))
	}
	return false
}

// unknown refuses the current field: a record with a field that this release does
// not understand is not opened in part.
func (f *fields) unknown() { f.refuse("unknown field %d", f.num) }

func (f *fields) size() int64 { return int64(f.uint(math.MaxInt64)) }

func (f *fields) uint(limit uint64) uint64 {
	if f.kind != protowire.VarintType || f.number > limit {
		f.refuse("field %d is not a number up to %d", f.num, limit)
		return 0
	}
	return f.number
}

// data returns the current field's bytes, a slice of the message.
func (f *fields) data() []byte {
	if f.kind != protowire.BytesType {
		f.refuse("field %d is not bytes", f.num)
		return nil
	}
	return f.bytes
}

func (f *fields) text() string { return string(f.data()) }

// fixed copies a field of exactly len(dst) bytes.
func (f *fields) fixed(dst []byte) {
	if b := f.data(); copy(dst, b) != len(dst) || len(b) != len(dst) {
		f.refuse("field %d is not %d bytes", f.num, len(dst))
	}
}

// into runs read over the current field as a message.
func (f *fields) into(what string, repeated uint32, read func(*fields)) {
	sub := fields{what: f.what + "." + what, rest: f.data(), repeated: repeated}
	read(&sub)
	if f.err == nil {
		f.err = sub.err
	}
}

func decodeListRecord(b []byte) (r ListRecord, err error) {
	f := fields{what: "list record", rest: b}
	for f.next() {
		switch f.num {
		case 1:
			r.ETag = f.text()
		case 2:
			r.Owner = f.text()
		case 3:
			r.ChecksumAlgorithm = f.text()
		case 4:
			r.ChecksumType = f.text()
		default:
			f.unknown()
		}
	}
	if f.err != nil {
		return ListRecord{}, f.err
	}
	return r, nil
}

func appendListRecord(b []byte, r *ListRecord) []byte {
	b = appendText(b, 1, r.ETag)
	b = appendText(b, 2, r.Owner)
	b = appendText(b, 3, r.ChecksumAlgorithm)
	return appendText(b, 4, r.ChecksumType)
}
