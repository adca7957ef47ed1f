package pictures

import "strings"

// Sizes in pixels.
const (
	lineHeight = 17
	padding    = 10 // of text in its box
	margin     = 16 // around the picture, and of a frame around its cells
	minGap     = 34 // between boxes
)

type rect struct{ x, y, w, h int }

func (r rect) right() int         { return r.x + r.w }
func (r rect) bottom() int        { return r.y + r.h }
func (r rect) middle() (x, y int) { return r.x + r.w/2, r.y + r.h/2 }

// label is one line of text, in the middle of its rect.
type label struct {
	rect
	text string
	bold bool
	of   *box // that it is in; nil: it is an arrow's
}

type point struct{ x, y int }

// drawing is a picture with its sizes.
type drawing struct {
	w, h   int
	lines  [][]point // each with an arrowhead at its end
	labels []label
}

// width is how wide a text is at most, in whichever of the usual sans-serif faces.
func width(text string, bold bool) int {
	w := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune(" .,ilj':;|", r):
			w += 4.3
		case strings.ContainsRune("mwMW→…@", r):
			w += 12.8
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			w += 9.2
		default:
			w += 8.1
		}
	}
	if bold {
		w *= 1.1
	}
	return int(w) + 1
}

func (b *box) minWidth() (w int) {
	for i, t := range b.text {
		w = max(w, width(t, i == 0)+2*padding)
	}
	return w
}

// draw makes each column as wide and each row as high as its boxes need, and each gap as
// the arrows and frames do that cross it or begin there.
func (p *Picture) draw() *drawing {
	cols, rows := 0, 0
	for _, b := range append(p.boxes[:len(p.boxes):len(p.boxes)], p.frames...) {
		cols, rows = max(cols, b.col+b.width), max(rows, b.row+b.height)
	}
	w, h, colGap, rowGap := make([]int, cols), make([]int, rows), make([]int, cols), make([]int, rows)
	for _, b := range p.boxes {
		w[b.col] = max(w[b.col], (b.minWidth()-minGap*(b.width-1))/b.width)
		h[b.row] = max(h[b.row], (len(b.text)*lineHeight+2*padding)/b.height)
	}
	for _, a := range p.arrows {
		first, last := a.from, a.to
		if a.from.row < a.to.row+a.to.height && a.to.row < a.from.row+a.from.height { // side by side
			if last.col < first.col {
				first, last = last, first
			}
			if gap := first.col + first.width - 1; last.col == gap+1 {
				colGap[gap] = max(colGap[gap], textWidth(a.text)+minGap/2)
			}
			continue
		}
		if last.row < first.row {
			first, last = last, first
		}
		gap := first.row + first.height - 1
		rowGap[gap] = max(rowGap[gap], len(a.text)*lineHeight+minGap/2)
	}
	for _, f := range p.frames {
		if f.row > 0 {
			rowGap[f.row-1] += lineHeight + margin // for its text
		}
	}
	d := &drawing{}
	x, y := places(w, colGap, &d.w), places(h, rowGap, &d.h)
	for _, f := range p.frames {
		f.rect = span(f, x, w, y, h)
		f.rect = rect{f.rect.x - margin/2, f.rect.y - margin/2 - lineHeight, f.rect.w + margin, f.rect.h + margin + lineHeight}
		d.labels = append(d.labels, label{rect{f.rect.x + padding, f.rect.y + 2, width(f.text[0], true), lineHeight}, f.text[0], true, f})
	}
	for _, b := range p.boxes {
		b.rect = span(b, x, w, y, h)
		mx, my := b.rect.middle()
		d.say(mx, my+len(b.text)*lineHeight/2, b.text, b)
	}
	for _, a := range p.arrows {
		d.connect(a)
	}
	return d
}

// places are where cells begin; end is where the picture does.
func places(size, gap []int, end *int) []int {
	at, all := margin+lineHeight, make([]int, len(size))
	for i := range size {
		all[i], *end = at, at+size[i]+margin+padding
		at += size[i] + max(gap[i], minGap)
	}
	return all
}

// span is the place of a box of several cells.
func span(b *box, x, w, y, h []int) rect {
	r, right, bottom := rect{x: x[b.col], y: y[b.row]}, b.col+b.width-1, b.row+b.height-1
	r.w, r.h = x[right]+w[right]-r.x, y[bottom]+h[bottom]-r.y
	return r
}

func textWidth(text []string) (w int) {
	for _, t := range text {
		w = max(w, width(t, false))
	}
	return w
}

// say puts lines of text around x, above foot.
func (d *drawing) say(x, foot int, text []string, of *box) {
	for i, t := range text {
		bold := of != nil && i == 0
		w := width(t, bold)
		d.labels = append(d.labels, label{rect{x - w/2, foot - (len(text)-i)*lineHeight, w, lineHeight}, t, bold, of})
	}
}

func (d *drawing) connect(a arrow) {
	f, t := a.from.rect, a.to.rect
	top, bottom := max(f.y, t.y), min(f.bottom(), t.bottom())
	left, right := max(f.x, t.x), min(f.right(), t.right())
	fromX, toX, fromY, toY := f.right(), t.x, f.bottom(), t.y
	if fromX > toX {
		fromX, toX = f.x, t.right()
	}
	if fromY > toY {
		fromY, toY = f.y, t.bottom()
	}
	switch {
	case top < bottom: // side by side
		y := (top + bottom) / 2
		d.lines = append(d.lines, []point{{fromX, y}, {toX, y}})
		d.say((fromX+toX)/2, y-2, a.text, nil)
	case left < right: // one above the other
		x := (left + right) / 2
		d.lines = append(d.lines, []point{{x, fromY}, {x, toY}})
		d.say(x+padding+textWidth(a.text)/2, (fromY+toY+len(a.text)*lineHeight)/2, a.text, nil)
	default:
		_, y := f.middle()
		x, _ := t.middle()
		d.lines = append(d.lines, []point{{fromX, y}, {x, y}, {x, toY}})
		d.say((fromX+x)/2, y-2, a.text, nil)
	}
}
