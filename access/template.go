package access

import "strings"

// template is a pattern that may have policy variables: ${aws:username},
// ${aws:PrincipalTag/team, 'none'}. A variable's value is literal, including
// its * and ?. ${*}, ${?} and ${$} are those characters. The pattern is kept as
// written, so that it needs little more memory than its text.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
type template struct {
	text      string
	first     uint32 // length of the literal part of text before the first wildcard or variable
	wildcards bool
	variables bool
}

// piece is a part of a pattern, or a variable.
type piece struct {
	text     string // the part of the pattern, or the variable's default
	literal  bool   // text has no wildcards
	variable string // the condition key, see normalKey; empty: not a variable
	fallback bool   // the variable has a default
}

// newTemplate compiles a pattern. Without variables (before Version
// 2012-10-17), ${ is not special. Without wildcards, * and ? are literal. It
// reports false for a malformed variable.
func newTemplate(s string, variables, wildcards bool) (template, bool) {
	t := template{wildcards: wildcards, variables: variables && strings.Contains(s, "${")}
	var b strings.Builder
	b.Grow(len(s))
	for rest := s; rest != ""; {
		p, after, ok := t.cut(rest, newVariable)
		if !ok {
			return template{}, false
		}
		b.WriteString(p.source(rest[:len(rest)-len(after)]))
		rest = after
	}
	switch t.text = b.String(); {
	case t.text == s:
		t.text = s // it may share a longer string
	case len(t.text) < len(s):
		t.text = strings.Clone(t.text) // release the unused rest
	}
	t.first = uint32(len(t.text))
	if i := strings.Index(t.text, "${"); t.variables {
		t.first = uint32(i)
	}
	if wildcards {
		t.first = min(t.first, uint32(firstWildcard(t.text)))
	}
	return t, true
}

// source is the piece as a template keeps it: repeated stars become one, and
// names of variables are normal keys.
func (p *piece) source(written string) string {
	switch {
	case p.variable != "" && p.fallback:
		return "${" + p.variable + ",'" + p.text + "'}"
	case p.variable != "":
		return "${" + p.variable + "}"
	case p.literal || !strings.Contains(p.text, "**"):
		return written
	}
	var b strings.Builder
	for i := 0; i < len(p.text); i++ {
		if p.text[i] != '*' || i == 0 || p.text[i-1] != '*' {
			b.WriteByte(p.text[i])
		}
	}
	return b.String()
}

// cut splits the first piece off a text. read parses the content of ${ }. It
// reports false for a malformed variable.
func (t *template) cut(s string, read func(inside string) (piece, bool)) (p piece, after string, ok bool) {
	end := len(s)
	if t.variables {
		if i := strings.Index(s, "${"); i >= 0 {
			end = i
		}
	}
	if end > 0 {
		return piece{text: s[:end], literal: !t.wildcards}, s[end:], true
	}
	inside, after, closed := strings.Cut(s[len("${"):], "}")
	if !closed {
		return piece{}, "", false
	}
	p, ok = read(inside)
	return p, after, ok
}

// next splits the first piece off the rest of the template's text.
func (t *template) next(left string) (p piece, after string) {
	p, after, _ = t.cut(left, keptVariable)
	return p, after
}

// keptVariable parses a variable as piece.source writes it.
func keptVariable(inside string) (piece, bool) {
	if len(inside) == 1 {
		return piece{text: inside, literal: true}, true
	}
	key, fallback, has := strings.Cut(inside, ",'")
	return piece{variable: key, literal: true, fallback: has, text: strings.TrimSuffix(fallback, "'")}, true
}

// newVariable parses a variable as policies write it.
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

// possible reports whether s may match: it begins like every match.
func (t *template) possible(s string) bool { return strings.HasPrefix(s, t.text[:t.first]) }

// match reports whether s matches, and whether every variable was resolved. An
// unresolved template matches nothing.
func (t *template) match(s string, e *env) (matched, resolved bool) {
	if !t.variables {
		g := t.fixed()
		return g.match(s, e.meter()), true
	}
	if x := e.remembered(t, len(s)); x != nil {
		return x.resolved && x.made && x.glob.match(s, e.meter()), x.resolved
	}
	x := t.measure(e, s, true)
	if !x.resolved || !x.possible {
		return false, x.resolved
	}
	x.make(t, e)
	return x.glob.match(s, e.meter()), true
}

// fixed is the pattern of a template without variables.
func (t *template) fixed() glob { return glob{text: t.text, first: int(t.first)} }

// isFixed reports that the template has no wildcards and no variables.
func (t *template) isFixed() bool { return int(t.first) == len(t.text) }

// expansion is a template with its variables replaced.
type expansion struct {
	measured bool
	resolved bool // every variable has a value or a default
	least    int  // least number of bytes of a match
	possible bool // the text that was measured may match
	made     bool // glob is set
	glob     glob
	// variables are the template's variables, without duplicates.
	variables []string
}

// measure looks up the variables before the pattern is put together. It
// computes the least length of a match and, if asked, whether s may match: it
// is long enough, begins and ends like every match, and contains the parts
// between stars.
func (t *template) measure(e *env, s string, asked bool) expansion {
	x := expansion{measured: true, resolved: true, possible: true}
	c := check{s: s, left: s, begins: true}
	if asked {
		x.possible = strings.HasSuffix(s, t.text[strings.LastIndexAny(t.text, "*?}")+1:])
	}
	for rest := t.text; rest != ""; {
		var p piece
		p, rest = t.next(rest)
		text, ok := p.value(e)
		x.resolved = x.resolved && ok
		x.least += len(text)
		if !p.literal {
			x.least -= strings.Count(text, "*")
		}
		if asked && x.possible {
			x.possible = x.least <= len(s) && c.next(text, p.literal)
			e.meter().spend(stepsMatch + len(text)/bytesPerStep)
		}
	}
	e.meter().spend(stepsMatch + len(t.text)/bytesPerStep)
	return x
}

// check compares a text with a pattern piece by piece.
type check struct {
	s, left string
	begins  bool // no wildcard in the pieces so far; left is the rest after them
}

// next compares the next piece. It may only refuse texts that cannot match.
func (c *check) next(text string, literal bool) bool {
	if !literal && !within(text, c.s) {
		return false
	}
	if !c.begins {
		return true
	}
	if wild := firstWildcard(text); !literal && wild < len(text) {
		text, c.begins = text[:wild], false
	}
	if !strings.HasPrefix(c.left, text) {
		return false
	}
	c.left = c.left[len(text):]
	return true
}

// within reports whether s contains the parts between stars of the pattern, in
// any order.
func within(pattern, s string) bool {
	from := strings.IndexByte(pattern, '*') + 1
	for from > 0 {
		n := strings.IndexByte(pattern[from:], '*')
		if n < 0 {
			break
		}
		if run := pattern[from : from+n]; !strings.Contains(s, run) && strings.IndexByte(run, '?') < 0 {
			return false
		}
		from += n + 1
	}
	return true
}

// make puts the pattern together.
func (x *expansion) make(t *template, e *env) {
	w := globWriter{first: -1}
	w.text.Grow(x.least + strings.Count(t.text, "*"))
	for rest := t.text; rest != ""; {
		var p piece
		p, rest = t.next(rest)
		if text, _ := p.value(e); p.literal {
			w.literal(text)
		} else {
			w.pattern(text)
		}
	}
	x.glob, x.made = w.glob(), true
	e.meter().spend(stepsMake + (len(t.text)+len(x.glob.text))/bytesPerStep)
}

// value returns the text of the piece; false for a variable without a value and
// a default.
func (p *piece) value(e *env) (string, bool) {
	if p.variable == "" {
		return p.text, true
	}
	e.meter().spend(stepsVariable)
	// A key with several values has no one text to put in.
	if v := e.lookup(p.variable); len(v) == 1 && e.fold {
		return FoldCase(v[0]), true
	} else if len(v) == 1 {
		return v[0], true
	}
	return p.text, p.fallback
}

// names returns the variables of the template, without duplicates.
func (t *template) names() (all []string) {
	seen := make(map[string]bool)
	for rest := t.text; t.variables && rest != ""; {
		var p piece
		if p, rest = t.next(rest); p.variable != "" && !seen[p.variable] {
			seen[p.variable] = true
			all = append(all, p.variable)
		}
	}
	return all
}

// has reports whether a variable of the template has one of the keys.
func (t *template) has(keys map[string]bool) bool {
	for rest := t.text; t.variables && rest != ""; {
		var p piece
		if p, rest = t.next(rest); p.variable != "" && keys[familyOf(p.variable)] {
			return true
		}
	}
	return false
}

var templateSize = sizeOf[template]()

// size is the template's memory, in bytes.
func (t *template) size() int { return templateSize + stringSize(t.text) }
