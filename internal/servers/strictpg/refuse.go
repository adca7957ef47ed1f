package strictpg

import (
	"regexp"
	"strings"
)

// forbidden is what a statement must not be: it needs a session, or an engine
// that not every relative of PostgreSQL has.
var forbidden = []struct {
	why  string
	text *regexp.Regexp
}{
	{"state of a session", regexp.MustCompile(`^(set|reset|discard|listen|notify|unlisten|load)\b`)},
	{"cursor", regexp.MustCompile(`^(declare|fetch|move|close)\b`)},
	{"prepared statement in SQL", regexp.MustCompile(`^(prepare|execute|deallocate)\b`)},
	{"savepoint", regexp.MustCompile(`^(savepoint|release|rollback\s+to)\b`)},
	{"two-phase commit", regexp.MustCompile(`^(commit|rollback)\s+prepared\b`)},
	{"table lock", regexp.MustCompile(`^lock\b`)},
	{"procedural code", regexp.MustCompile(`^(do|call)\b|^create\s+(or\s+replace\s+)?(function|procedure|trigger|rule)\b`)},
	{"temporary table", regexp.MustCompile(`^create\s+(local\s+|global\s+)?(temp|temporary|unlogged)\b`)},
	{"partial index", regexp.MustCompile(`(?s)^create\s+(unique\s+)?index\b.*\bwhere\b`)},
	{"advisory lock", regexp.MustCompile(`\bpg_(try_)?advisory_`)},
	{"sequence", regexp.MustCompile(`\b(nextval|currval|setval|lastval)\b`)},
	{"setting", regexp.MustCompile(`\bset_config\b`)},
	{"JSON operator", regexp.MustCompile(`->|#>|@>|\?\||\?&`)},
	{"COPY", regexp.MustCompile(`^copy\b`)},
}

var comment = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)

// refusal is why a statement is refused, or "".
func refusal(statement string) string {
	text := strings.ToLower(strings.TrimSpace(comment.ReplaceAllString(statement, " ")))
	for _, f := range forbidden {
		if f.text.MatchString(text) {
			return f.why
		}
	}
	return ""
}

// split cuts a simple query into statements. Constants in it hold no semicolon:
// the store binds numbers and hexadecimal bytes.
func split(query string) (statements []string) {
	for s := range strings.SplitSeq(query, ";") {
		if strings.TrimSpace(comment.ReplaceAllString(s, " ")) != "" {
			statements = append(statements, s)
		}
	}
	return statements
}

func isCommit(statement string) bool {
	return strings.EqualFold(strings.TrimSpace(statement), "commit")
}
