package requestlog

import (
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Handler is a handler of package slog that also writes lines of requests. They
// are byte for byte those of slog, but cost a fraction: nothing is boxed and
// nothing is allocated. Handlers that With or WithGroup derive from it are
// slog's.
type Handler struct {
	slog.Handler
	out  io.Writer
	json bool
}

// NewJSONHandler writes JSON to out, a whole line in each call, from level on.
// out must be safe for concurrent use and must not keep the bytes.
func NewJSONHandler(out io.Writer, level slog.Leveler) *Handler {
	return &Handler{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}), out, true}
}

// NewTextHandler is NewJSONHandler for text.
func NewTextHandler(out io.Writer, level slog.Leveler) *Handler {
	return &Handler{slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}), out, false}
}

// writeLine writes a line. It returns false if some text must be escaped, which
// is left to slog. Nothing is written then. The write is one call, so that
// concurrent lines do not mix.
func (h *Handler) writeLine(now time.Time, l *Line) bool {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.begin(h.json, now, l.Level())
	l.fields(e)
	if e.odd {
		return false
	}
	e.end()
	_, _ = h.out.Write(e.line) // like slog, which reports no errors of out
	return true
}

// encoders are reused, so that a line allocates nothing.
var encoders = sync.Pool{New: func() any { return &encoder{line: make([]byte, 0, usualLine)} }}

// usualLine is more than the length of most lines, in bytes.
const usualLine = 1 << 10

// encoder makes one line in the form of slog's handlers.
type encoder struct {
	line []byte
	json bool
	odd  bool // some text must be escaped
}

// begin starts a line with slog's own fields.
func (e *encoder) begin(json bool, now time.Time, level slog.Level) {
	e.line, e.json, e.odd = e.line[:0], json, false
	if json {
		e.line = append(e.line, `{"time":"`...)
		e.line = now.AppendFormat(e.line, time.RFC3339Nano)
		e.line = append(e.line, '"')
	} else {
		e.line = append(e.line, "time="...)
		e.line = now.AppendFormat(e.line, "2006-01-02T15:04:05.000Z07:00")
	}
	e.text(slog.LevelKey, level.String())
	e.text(slog.MessageKey, Message)
}

func (e *encoder) end() {
	if e.json {
		e.line = append(e.line, '}')
	}
	e.line = append(e.line, '\n')
}

// named returns the line with the beginning of one more field.
func (e *encoder) named(name string) []byte {
	if e.json {
		line := append(e.line, `,"`...)
		line = append(line, name...)
		return append(line, `":`...)
	}
	line := append(e.line, ' ')
	line = append(line, name...)
	return append(line, '=')
}

// text adds a text, in quotes where slog has them.
func (e *encoder) text(name, value string) {
	if !e.json {
		e.word(name, value)
		return
	}
	line := append(e.named(name), '"')
	start := len(line)
	line = append(line, value...)
	e.odd = e.odd || !ordinary(line[start:])
	e.line = append(line, '"')
}

// sent adds text of a client. It may need quotes that Printable leaves, which
// make the line odd.
func (e *encoder) sent(name, value string) {
	if value = value[:min(len(value), MaxText)]; !e.json {
		e.word(name, Printable(value))
		return
	}
	line := append(e.named(name), '"')
	start := len(line)
	if line = append(line, value...); !ordinary(line[start:]) {
		line = append(line[:start], Printable(value)...)
		e.odd = e.odd || !ordinary(line[start:])
	}
	e.line = append(line, '"')
}

// word is text in the format for people, in quotation marks where that is needed.
func (e *encoder) word(name, value string) {
	quoted := value == ""
	for i := range len(value) {
		switch standing[value[i]] {
		case escaped:
			e.odd = true
			return
		case spacing:
			quoted = true
		}
	}
	line := e.named(name)
	if !quoted {
		e.line = append(line, value...)
		return
	}
	line = append(line, '"')
	line = append(line, value...)
	e.line = append(line, '"')
}

// number adds an integer, which needs no quotes in either form.
func (e *encoder) number(name string, value int64) {
	e.line = strconv.AppendInt(e.named(name), value, 10)
}

// float adds a number if slog would write it without an exponent.
func (e *encoder) float(name string, value float64) {
	format := byte('g')
	if e.json {
		if format = 'f'; value != 0 && value < leastPlain || value >= mostPlain {
			e.odd = true
			return
		}
	}
	e.line = strconv.AppendFloat(e.named(name), value, format, -1, 64)
}

// Between these, package json writes numbers without an exponent.
const (
	leastPlain = 1e-6
	mostPlain  = 1e21
)

// yes adds a fact that is true; one that is not has no field.
func (e *encoder) yes(name string) { e.line = append(e.named(name), "true"...) }

// attr adds a string attribute; other kinds are left to slog.
func (e *encoder) attr(a slog.Attr) {
	if a.Value.Kind() != slog.KindString {
		e.odd = true
		return
	}
	e.text(a.Key, a.Value.String())
}

// The treatment of a byte in a line.
const (
	plain   = iota
	spacing // the text needs quotes
	escaped
)

// standing has the treatment of each byte.
var standing = func() (all [256]byte) {
	for i := range all {
		switch c := byte(i); {
		case odd(c) || c == '"' || c == '\\':
			all[i] = escaped
		case c == ' ' || c == '=':
			all[i] = spacing
		}
	}
	return all
}()
