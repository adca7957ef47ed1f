//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is everything that a run found out.
type report struct {
	Machine machine
	Results []result
	Floors  []floor
}

// table is rows of cells, the first of which is the head.
type table [][]string

// tables are the report for people: one for each pair of servers, one of what
// was measured alone, one of floors.
func (r *report) tables() (tables []table) {
	of := make(map[[2]string]int) // index in tables
	alone := table{{"", "clients", "measured"}}
	for _, res := range r.Results {
		if _, ok := of[res.Pair]; !ok {
			of[res.Pair] = len(tables)
			tables = append(tables, table{{"", "clients", res.Pair[0], res.Pair[1], "ratio", "CPU s/GiB", "CPU ms/request", "peak MiB"}})
		}
		a, v := res.lane(res.Pair[0]), res.lane(res.Pair[1])
		if a != nil && v != nil {
			t := &tables[of[res.Pair]]
			*t = append(*t, []string{
				res.Row, fmt.Sprint(res.Clients), res.speed(a), res.speed(v), fmt.Sprintf("%.2f", res.ratio(a, v)),
				both(a, v, func(l *laneResult) string { return l.perGiB(res.Size) }),
				both(a, v, func(l *laneResult) string { return digits(l.perRequest()) }),
				both(a, v, func(l *laneResult) string { return digits(float64(l.Peak) / (1 << 20)) }),
			})
		}
		for i := range res.Lanes {
			if l := &res.Lanes[i]; !slices.Contains(res.Pair[:], l.Lane) {
				alone = append(alone, []string{l.Lane, fmt.Sprint(res.Clients), res.speed(l)})
			}
		}
	}
	return append(tables, alone, r.floorTable())
}

func (r *report) floorTable() table {
	floors := table{{"floor", "measured", "wanted", ""}}
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
	return floors
}

// speed is a lane's speed in the row's unit.
func (r result) speed(l *laneResult) string {
	switch r.Unit {
	case megabytes:
		return digits(l.Rate*float64(r.Size)/1e6) + " " + string(megabytes)
	case milliseconds:
		return digits(l.Latency) + " " + string(milliseconds)
	case mebibytes:
		return digits(l.Rate) + " " + string(mebibytes)
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

// perRequest is the server's processor time, in milliseconds.
func (l *laneResult) perRequest() float64 { return l.CPU * 1000 / float64(l.Requests) }

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
