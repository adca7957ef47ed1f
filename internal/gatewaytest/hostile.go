package gatewaytest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// HostileJSON returns documents of about size bytes that are costly or ambiguous,
// by their fault. No parser of a JSON object may accept them.
func HostileJSON(size int) map[string]string {
	fill := func(before, unit string) string { return before + strings.Repeat(unit, (size-len(before))/len(unit)) }
	var members strings.Builder
	for i := 0; members.Len() < size-100; i++ {
		fmt.Fprintf(&members, `,"%x":1`, i)
	}
	var wide []byte
	for _, c := range utf16.Encode([]rune(`{"a":1}`)) {
		wide = append(wide, byte(c), byte(c>>8))
	}
	return map[string]string{
		"nested lists":      fill("", "["),
		"nested objects":    fill("", `{"a":`),
		"closed nesting":    strings.Repeat(`{"a":`, size/12) + "1" + strings.Repeat("}", size/12),
		"many numbers":      fill(`[1`, ",1") + "]",
		"many strings":      fill(`[""`, `,""`) + "]",
		"many members":      `{"a":1` + members.String() + "}",
		"repeated members":  fill(`{"a":1`, `,"a":1`) + "}",
		"members in cases":  fill(`{"a":1`, `,"A":1`) + "}",
		"a long number":     fill(`{"a":1`, "1") + "}",
		"blanks":            fill("", " "),
		"trailing junk":     `{"a":1}x`,
		"two values":        `{"a":1}{"a":1}`,
		"UTF-16":            string(wide),
		"not UTF-8":         "{\"a\":\"\xff\"}",
		"XML":               "<a/>",
		"a byte order mark": "\uFEFF{}",
		"a zero byte":       "{\"a\":\x00}",
		"unclosed":          `{"a":1`,
	}
}
