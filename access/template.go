package access

import "strings"

// template is a pattern that may have policy variables: ${aws:username},
// ${aws:PrincipalTag/team, 'none'}. What a variable stands for is taken
// literally, its own * and ? included. ${*}, ${?} and ${$} are those characters.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
type template struct {
	fixed  *glob // nil when there are variables
	pieces []piece
	// inner and tail are runs that every match contains and ends with. With the
	// pieces up to the first wildcard they spare most patterns from being put
	// together.
	inner []string
	tail  string
}

// piece is a run of a pattern, or a variable.
type piece struct {
	text     string // the pattern's run, or the variable's default
	literal  bool   // text has no wildcards
	variable string // the condition key, see normalKey; empty: none
	fallback bool   // the variable has a default
}

// newTemplate compiles a pattern. Without variables (before Version 2012-10-17)
// ${ is nothing special; wildcards are taken literally where they are none.
// It reports false for a variable that is not well formed.
func newTemplate(s string, variables, wildcards bool) (template, bool) {
	pieces := []piece{{text: s, literal: !wildcards}}
	if variables {
		var ok bool
		if pieces, ok = cutVariables(s, wildcards); !ok {
			return template{}, false
		}
	}
	t := template{pieces: pieces}
	for _, p := range pieces {
		if p.variable != "" {
			t.inner, t.tail = runsOf(pieces)
			return t, true
		}
	}
	t.fixed, _ = t.expand(nil)
	t.pieces = nil
	return t, true
}

// runsOf finds the runs of the pattern between two stars of one piece, and the
// one after the last wildcard of the last piece.
func runsOf(pieces []piece) (inner []string, tail string) {
	for i, p := range pieces {
		if p.variable != "" || p.literal {
			continue
		}
		runs := strings.Split(p.text, "*")
		for _, run := range runs[1:max(1, len(runs)-1)] {
			if run != "" && !strings.Contains(run, "?") {
				inner = append(inner, run)
			}
		}
		if at := strings.LastIndexAny(p.text, "*?"); i == len(pieces)-1 && at >= 0 {
			tail = p.text[at+1:]
		}
	}
	return inner, tail
}

// possible reports whether s may match, without putting the pattern together.
func (t *template) possible(s string, e *env) bool {
	if !strings.HasSuffix(s, t.tail) {
		return false
	}
	for _, run := range t.inner {
		if !strings.Contains(s, run) {
			return false
		}
	}
	for i := range t.pieces {
		p := &t.pieces[i]
		text, wild := p.text, -1
		if p.variable != "" {
			if v := e.lookup(p.variable); len(v) == 1 {
				text = v[0]
			}
		} else if !p.literal {
			wild = strings.IndexAny(text, "*?")
		}
		if wild >= 0 {
			return strings.HasPrefix(s, text[:wild])
		}
		if !strings.HasPrefix(s, text) {
			return false
		}
		s = s[len(text):]
	}
	return s == ""
}

func cutVariables(s string, wildcards bool) (pieces []piece, ok bool) {
	for {
		before, rest, found := strings.Cut(s, "${")
		if before != "" {
			pieces = append(pieces, piece{text: before, literal: !wildcards})
		}
		if !found {
			return pieces, true
		}
		inside, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, false
		}
		p, ok := newVariable(inside)
		if !ok {
			return nil, false
		}
		pieces = append(pieces, p)
		s = after
	}
}

func newVariable(inside string) (piece, bool) {
	if inside == "*" || inside == "?" || inside == "$" {
		return piece{text: inside, literal: true}, true
	}
	key, fallback, has := strings.Cut(inside, ",")
	p := piece{variable: normalKey(strings.TrimSpace(key)), literal: true, fallback: has}
	if has {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return piece{}, false
		}
		p.text = fallback[1 : len(fallback)-1]
	}
	return p, strings.Contains(p.variable, ":") && !strings.ContainsAny(p.variable, "${ ")
}

// expand replaces the variables. It reports false when one has neither a value
// nor a default.
func (t *template) expand(e *env) (*glob, bool) {
	if t.fixed != nil {
		return t.fixed, true
	}
	var w globWriter
	for _, p := range t.pieces {
		text := p.text
		if p.variable != "" {
			if v := e.lookup(p.variable); len(v) == 1 {
				text = v[0]
			} else if !p.fallback {
				return nil, false
			}
		}
		if p.literal {
			w.literal(text)
		} else {
			w.pattern(text)
		}
	}
	return w.glob(), true
}

// match reports whether s matches, and whether every variable was resolved. What
// is not resolved matches nothing.
func (t *template) match(s string, e *env) (matched, resolved bool) {
	if t.fixed != nil {
		return t.fixed.match(s), true
	}
	if !t.resolved(e) {
		return false, false
	}
	if !t.possible(s, e) {
		return false, true
	}
	g, _ := t.expand(e)
	return g.match(s), true
}

// resolved reports whether every variable has a value or a default.
func (t *template) resolved(e *env) bool {
	for i := range t.pieces {
		p := &t.pieces[i]
		if p.variable != "" && !p.fallback && len(e.lookup(p.variable)) != 1 {
			return false
		}
	}
	return true
}

// isFixed reports that the template has neither a wildcard nor a variable.
func (t *template) isFixed() bool {
	if t.fixed == nil {
		return false
	}
	_, ok := t.fixed.literal()
	return ok
}

// has reports whether a variable of the template has one of the keys.
func (t *template) has(keys map[string]bool) bool {
	for i := range t.pieces {
		if v := t.pieces[i].variable; v != "" && keys[familyOf(v)] {
			return true
		}
	}
	return false
}
