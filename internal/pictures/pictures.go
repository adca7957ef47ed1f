// Package pictures draws the pictures of the documents: docs/pictures/NAME.txt becomes
// NAME.svg beside it. A text places boxes in cells and connects them; sizes follow from
// the words. Tests hold each picture to its text, and see to it that nothing lies on
// anything else. The product never imports it.
//
// A line is a word, its arguments, and after each | a line of text:
//
//	title | The picture
//	box ID COLUMN,ROW [KIND] [WIDTHxHEIGHT] | bold text | more text
//	frame COLUMN,ROW [KIND] [WIDTHxHEIGHT] | text
//	arrow FROM TO | text
//
// Kinds are colours. An arrow is straight where its boxes face each other; else it leaves
// at a side and arrives from above or below.
package pictures

import (
	"fmt"
	"strings"
)

// Picture is what a text says.
type Picture struct {
	title         string
	boxes, frames []*box
	arrows        []arrow
}

// box is a box or a frame.
type box struct {
	kind                    string
	col, row, width, height int // in cells
	text                    []string
	rect                    rect
}

type arrow struct {
	from, to *box
	text     []string
}

// Parse reads the text of a picture.
func Parse(text string) (*Picture, error) {
	p, ids, number := &Picture{}, map[string]*box{}, 0
	for line := range strings.Lines(text) {
		number++
		head, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		words := strings.Fields(head)
		if len(words) == 0 || strings.HasPrefix(head, "#") {
			continue
		}
		var said []string
		for t := range strings.SplitSeq(rest, "|") {
			said = append(said, strings.TrimSpace(t))
		}
		if rest == "" {
			said = nil
		}
		if err := p.add(ids, words[0], words[1:], said); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if p.title == "" || len(p.boxes) == 0 {
		return nil, fmt.Errorf("there is no title, or no box")
	}
	return p, nil
}

func (p *Picture) add(ids map[string]*box, word string, args, text []string) error {
	switch {
	case word == "title" && len(text) == 1:
		p.title = text[0]
	case word == "box" && len(args) > 1:
		b := &box{text: text}
		p.boxes, ids[args[0]] = append(p.boxes, b), b
		return b.place(args[1:])
	case word == "frame" && len(args) > 0 && len(text) == 1:
		b := &box{text: text}
		p.frames = append(p.frames, b)
		return b.place(args)
	case word == "arrow" && len(args) == 2:
		a := arrow{ids[args[0]], ids[args[1]], text}
		if a.from == nil || a.to == nil {
			return fmt.Errorf("there is no box %s or %s above", args[0], args[1])
		}
		p.arrows = append(p.arrows, a)
	default:
		return fmt.Errorf("%s %q is no line of a picture", word, args)
	}
	return nil
}

func (b *box) place(args []string) error {
	b.width, b.height = 1, 1
	if n, _ := fmt.Sscanf(args[0], "%d,%d", &b.col, &b.row); n < 2 || b.col < 0 || b.row < 0 {
		return fmt.Errorf("%q is no COLUMN,ROW", args[0])
	}
	for _, arg := range args[1:] {
		if colours[arg] != "" {
			b.kind = arg
		} else if n, _ := fmt.Sscanf(arg, "%dx%d", &b.width, &b.height); n < 2 || min(b.width, b.height) < 1 {
			return fmt.Errorf("%q is neither a kind nor WIDTHxHEIGHT", arg)
		}
	}
	return nil
}
