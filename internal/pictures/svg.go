package pictures

import (
	"fmt"
	"strings"
)

// colours of boxes, by kind. They stand on white, so that a dark page shows them as a
// light one does.
var colours = map[string]string{
	"": "#f6f8fa", "gateway": "#dbeafe", "store": "#dcfce7", "backend": "#fef3c7", "key": "#fde2e4", "outside": "#ffffff",
}

const (
	ink   = "#1f2328" // of text
	quiet = "#59636e" // of lines
)

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace

// SVG renders the picture.
func (p *Picture) SVG() []byte {
	d := p.draw()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13">`, d.w, d.h, d.w, d.h)
	line(`<title>%s</title>`, escape(p.title))
	line(`<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="%s"/></marker></defs>`, quiet)
	line(`<rect width="%d" height="%d" rx="6" fill="#ffffff"/>`, d.w, d.h)
	draw := func(r rect, kind, style string) {
		line(`<rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s" stroke="%s"%s/>`, r.x, r.y, r.w, r.h, colours[kind], quiet, style)
	}
	for _, f := range p.frames {
		draw(f.rect, f.kind, ` stroke-dasharray="5 4"`)
	}
	for _, b := range p.boxes {
		draw(b.rect, b.kind, "")
	}
	for _, l := range d.lines {
		points := ""
		for _, at := range l {
			points += fmt.Sprintf(" %d,%d", at.x, at.y)
		}
		line(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.3" marker-end="url(#head)"/>`, points[1:], quiet)
	}
	for _, l := range d.labels {
		x, _ := l.rect.middle()
		weight := ""
		if l.bold {
			weight = ` font-weight="bold"`
		}
		line(`<text x="%d" y="%d" text-anchor="middle" fill="%s"%s>%s</text>`, x, l.rect.bottom()-4, ink, weight, escape(l.text))
	}
	line(`</svg>`)
	return []byte(b.String())
}
