//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// report is everything that a run found out.
type report struct {
	Machine machine
	Results []result
	Floors  []floor
}

// floor is a speed that the gateway must have.
type floor struct {
	What     string
	Measured float64
	AtLeast  float64 `json:",omitempty"` // one of the two
	AtMost   float64 `json:",omitempty"`
	Met      bool
}

// Floors. What depends on the machine is held against something measured in the
// same turns.
const (
	floorLarge = 0.7 // of the rival's speed
	floorSmall = 400 // durable PUTs a second on a disk that does floorDisk synced files, or less on a slower one
	floorDisk  = 650
	floorPage  = 20  // milliseconds
	floorGrow  = 1.2 // a page over many keys, over one over few
)

func (r *report) row(name string) *result {
	for i := range r.Results {
		if r.Results[i].Row == name {
			return &r.Results[i]
		}
	}
	return nil
}

// judge compares with the floors, as far as the rows were measured.
func (r *report) judge() {
	for _, name := range []string{getLargeRow, putLargeRow} {
		if row := r.row(name); row != nil {
			r.atLeast(name+", of "+rival+"'s speed", row.lane(ours).Rate/row.lane(rival).Rate, floorLarge)
		}
	}
	if row := r.row(putSmallRow); row != nil {
		r.atLeast(fmt.Sprintf("durable %s a second, with %d clients", putSmallRow, row.Clients),
			row.lane(ours).Rate, floorSmall*min(1, row.lane(diskName).Rate/floorDisk))
	}
	if row := r.row(pageRow); row != nil {
		many, few := row.lane(manyLane).Latency, row.lane(fewLane).Latency
		r.atMost(manyLane+", in ms", many, floorPage)
		r.atMost(manyLane+", of one over few", many/few, floorGrow)
	}
}

func (r *report) atLeast(what string, measured, want float64) {
	r.Floors = append(r.Floors, floor{What: what, Measured: measured, AtLeast: want, Met: measured >= want})
}

func (r *report) atMost(what string, measured, want float64) {
	r.Floors = append(r.Floors, floor{What: what, Measured: measured, AtMost: want, Met: measured <= want})
}

// table is rows of cells, the first of which is the head.
type table [][]string

// tables are the report for people.
func (r *report) tables() []table {
	pairs := table{{"", "clients", ours, rival, "ratio", "CPU s/GiB", "CPU ms/request", "peak MiB"}}
	alone := table{{"", "clients", "measured"}}
	floors := table{{"floor", "measured", "wanted", ""}}
	for _, res := range r.Results {
		a, v := res.lane(ours), res.lane(rival)
		if a != nil && v != nil {
			pairs = append(pairs, []string{
				res.Row, fmt.Sprint(res.Clients), res.speed(a), res.speed(v), fmt.Sprintf("%.2f", res.ratio(a, v)),
				both(a, v, func(l *laneResult) string { return l.perGiB(res.Size) }),
				both(a, v, func(l *laneResult) string { return digits(l.CPU * 1000 / float64(l.Requests)) }),
				both(a, v, func(l *laneResult) string { return digits(float64(l.Peak) / (1 << 20)) }),
			})
		}
		for i := range res.Lanes {
			if l := &res.Lanes[i]; l.Lane != ours && l.Lane != rival {
				alone = append(alone, []string{l.Lane, fmt.Sprint(res.Clients), res.speed(l)})
			}
		}
	}
	for _, f := range r.Floors {
		want, met := fmt.Sprintf("≥ %.2f", f.AtLeast), "met"
		if f.AtMost > 0 {
			want = fmt.Sprintf("≤ %.2f", f.AtMost)
		}
		if !f.Met {
			met = "missed"
		}
		floors = append(floors, []string{f.What, fmt.Sprintf("%.2f", f.Measured), want, met})
	}
	return []table{pairs, alone, floors}
}

// speed is a lane's speed in the row's unit.
func (r result) speed(l *laneResult) string {
	switch r.Unit {
	case megabytes:
		return digits(l.Rate*float64(r.Size)/1e6) + " " + string(megabytes)
	case milliseconds:
		return digits(l.Latency) + " " + string(milliseconds)
	}
	return digits(l.Rate) + string(perSecond)
}

// ratio is above 1 where a is the faster one.
func (r result) ratio(a, b *laneResult) float64 {
	if r.Unit == milliseconds {
		return b.Latency / a.Latency
	}
	return a.Rate / b.Rate
}

func (l *laneResult) perGiB(size int64) string {
	if size == 0 {
		return "–"
	}
	return digits(l.CPU * (1 << 30) / float64(size*l.Requests))
}

func both(a, b *laneResult, f func(*laneResult) string) string { return f(a) + " / " + f(b) }

// digits shows a number with three digits that count.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// publish prints the report and puts it into the document if asked to.
func (r *report) publish(o options, doc string) error {
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return err
		}
	} else if err := r.print(os.Stdout); err != nil {
		return err
	}
	if !o.write {
		return nil
	}
	return r.insert(doc)
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintln(w, r.Machine)
	for _, t := range r.tables() {
		if len(t) == 1 {
			continue
		}
		fmt.Fprintln(w)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, cells := range t {
			fmt.Fprintln(tw, strings.Join(cells, "\t"))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// The place of the tables in the document.
const (
	beginMark = "<!-- written by make bench ARGS=-write: begin -->\n"
	endMark   = "<!-- end -->"
)

// insert puts the tables between the document's marks.
func (r *report) insert(path string) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(doc, []byte(beginMark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the marks between which the tables go", path)
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "%s\n%s\n", beginMark, r.Machine)
	for _, t := range r.tables() {
		b.WriteByte('\n')
		for i, cells := range t {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
			if i == 0 {
				b.WriteString("|" + strings.Repeat(" --- |", len(cells)) + "\n")
			}
		}
	}
	b.WriteString("\n" + endMark)
	b.Write(after)
	return os.WriteFile(path, b.Bytes(), 0o644)
}
