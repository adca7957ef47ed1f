//go:build linux

package conformance

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
)

// A Verdict is a run held against the listed divergences.
type Verdict struct {
	Unlisted []Result     // failed, and not listed
	Passing  []Result     // listed, and passed
	Stale    []string     // listed, but no suite has such a test
	Shares   []SuiteShare // of each suite
}

// A SuiteShare says how much of a suite passes. Skipped tests do not count.
type SuiteShare struct {
	SuiteRun
	Passed, Total int
}

// Share is between 0 and 1.
func (s SuiteShare) Share() float64 { return float64(s.Passed) / float64(max(1, s.Total)) }

// TooLow reports whether less passes than must.
func (s SuiteShare) TooLow() bool { return s.Share() < s.MinShare }

// Judge compares a run with the list. Only a whole run can tell what is stale and
// whether enough passes.
func Judge(run *Run, list []Divergence) Verdict {
	v := Verdict{Shares: make([]SuiteShare, len(run.Suites))}
	for i, s := range run.Suites {
		v.Shares[i].SuiteRun = s
		if !run.Whole {
			v.Shares[i].MinShare = 0
		}
	}
	for _, r := range run.Results {
		isListed := listed(list, r.Test)
		switch {
		case r.Outcome == Failed && !isListed:
			v.Unlisted = append(v.Unlisted, r)
		case r.Outcome.OK() && isListed:
			v.Passing = append(v.Passing, r)
		}
		for i := range v.Shares {
			if v.Shares[i].Name == r.Suite && r.Outcome != Skipped {
				v.Shares[i].Total++
				if r.Outcome.OK() {
					v.Shares[i].Passed++
				}
			}
		}
	}
	if run.Whole {
		v.Stale = stale(run, list)
	}
	return v
}

func listed(list []Divergence, t Test) bool {
	for _, d := range list {
		if d.Covers(t) {
			return true
		}
	}
	return false
}

// stale are the listed names that no test has.
func stale(run *Run, list []Divergence) (names []string) {
	for _, d := range list {
		for _, n := range d.Names {
			found := false
			for _, r := range run.Results {
				found = found || r.Suite == d.Suite && nameMatches(n, r.Name)
			}
			if !found {
				names = append(names, fmt.Sprintf("%s (line %d)", n, d.Line))
			}
		}
	}
	return names
}

// OK reports whether the gateway conforms as the document says.
func (v Verdict) OK() bool {
	for _, s := range v.Shares {
		if s.TooLow() {
			return false
		}
	}
	return len(v.Unlisted)+len(v.Passing)+len(v.Stale) == 0
}

// row is a line of the table.
type row struct{ passed, message, failed, listed, skipped int }

func (r *row) count(result Result, isListed bool) {
	switch {
	case result.Outcome == Passed:
		r.passed++
	case result.Outcome == MessageOnly:
		r.message++
	case result.Outcome == Skipped:
		r.skipped++
	case isListed:
		r.listed++
	default:
		r.failed++
	}
}

// WriteTable prints how many tests of each group ended how. Failed are those
// that are not listed, listed those that failed and are.
func WriteTable(w io.Writer, run *Run, list []Divergence) error {
	var groups []string
	rows := make(map[string]*row)
	for _, r := range run.Results {
		for _, g := range []string{r.Suite + "/" + r.Group, r.Suite} {
			if rows[g] == nil {
				rows[g] = new(row)
				groups = append(groups, g)
			}
			rows[g].count(r, listed(list, r.Test))
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "passed\tmessage only\tfailed\tlisted\tskipped\t  group")
	print := func(g string) {
		r := rows[g]
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t  %s\n", r.passed, r.message, r.failed, r.listed, r.skipped, g)
	}
	for _, g := range groups {
		if strings.Contains(g, "/") {
			print(g)
		}
	}
	fmt.Fprintln(t, "\t\t\t\t\t")
	for _, s := range run.Suites {
		if rows[s.Name] != nil {
			print(s.Name)
		}
	}
	return t.Flush()
}

// Write prints what is wrong and how much passes.
func (v Verdict) Write(w io.Writer) {
	for _, r := range v.Unlisted {
		fmt.Fprintf(w, "FAILED, not listed    %s  %s\n", r.Test, r.Detail)
	}
	for _, r := range v.Passing {
		fmt.Fprintf(w, "PASSED, but listed    %s\n", r.Test)
	}
	for _, n := range v.Stale {
		fmt.Fprintf(w, "LISTED, but no test   %s\n", n)
	}
	for _, s := range v.Shares {
		fmt.Fprintf(w, "%s: %d of %d passed, %.1f %%", s.Name, s.Passed, s.Total, 100*s.Share())
		if s.LeftOut != 0 {
			fmt.Fprintf(w, "; %d tests that need its own admin API were left out", s.LeftOut)
		}
		if s.TooLow() {
			fmt.Fprintf(w, "; less than %.0f %%", 100*s.MinShare)
		}
		fmt.Fprintln(w)
	}
}

// WriteFailures writes a line for each test that did not pass outright: its name,
// how it ended, and what was wanted and got, separated by tabs, in the suites'
// order, which is by feature.
func WriteFailures(w io.Writer, run *Run, list []Divergence) error {
	for _, r := range run.Results {
		if r.Outcome != Failed && r.Outcome != MessageOnly {
			continue
		}
		kind := r.kind()
		if r.Outcome == Failed && listed(list, r.Test) {
			kind = "listed"
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", r.Test, kind, r.Detail); err != nil {
			return err
		}
	}
	return nil
}

// kind says more closely how a test failed.
func (r Result) kind() string {
	switch {
	case r.Outcome != Failed:
		return r.Outcome.String()
	case strings.HasPrefix(r.Detail, "panic: "):
		return "panic"
	case strings.Contains(r.Detail, notInTime):
		return "time limit"
	case strings.HasPrefix(r.Detail, "failed to create a bucket: "):
		return "set-up"
	case strings.HasPrefix(r.Detail, "failed to delete the bucket: "), strings.HasPrefix(r.Detail, "failed to list objects: "):
		return "only cleaning up failed"
	}
	return "failed"
}

var requestIDs = regexp.MustCompile(`RequestID: [^,]*, (HostID: [^,]*, )?`)

// oneLine is a text without line breaks and ids of requests, of at most so many bytes and a sign that
// more was cut off.
func oneLine(s string, limit int) string {
	s = requestIDs.ReplaceAllString(s, "")
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
