// Package strict parses the numbers, times and JSON of requests and documents
// in exactly the forms of their specifications. The standard library accepts
// more: a plus sign, an hour of one digit, a comma before a fraction, a weekday
// that does not match the date. If two readers of one text differ in such
// details, one decides about another value than the other acts on.
package strict

import (
	"math"
	"strings"
	"time"
)

// maxDigits is the length of the largest number, 2^63-1.
const maxDigits = 19

// Number parses a decimal number from 0 to most: digits only, at most 19 of
// them.
func Number(s string, most int64) (int64, bool) {
	if s == "" || len(s) > maxDigits {
		return 0, false
	}
	var n uint64 // nineteen digits do not overflow it
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return int64(n), n <= math.MaxInt64 && int64(n) <= most
}

// Integer parses a Number up to 2^63-1 with an optional minus sign, for callers
// that distinguish a negative number from a malformed one.
func Integer(s string) (int64, bool) {
	digits, negative := strings.CutPrefix(s, "-")
	n, ok := Number(digits, math.MaxInt64)
	if negative {
		n = -n
	}
	return n, ok
}

// InElement returns the text of an XML element whose type is not a string:
// white space around it is not significant.
// Source: XML Schema Part 2, whiteSpace collapse
func InElement(s string) string { return strings.Trim(s, " \t\r\n") }

// Time parses a time of the layout, as package time writes it, if all parts of
// the layout have fixed widths: each digit of the layout is a digit of s.
func Time(layout, s string) (time.Time, bool) {
	if len(s) != len(layout) {
		return time.Time{}, false
	}
	for i := range len(s) {
		if isDigit(layout[i]) != isDigit(s[i]) {
			return time.Time{}, false
		}
	}
	t, err := time.Parse(layout, s)
	return t, err == nil
}

// maxFraction is the largest number of digits of a second's fraction. It is the
// precision of time.Time.
const maxFraction = 9

// DateTime parses a date and time with its offset, such as
// "2006-01-02T15:04:05.999Z" or "2006-01-02T15:04:05+01:00", with at most nine
// digits of a fraction.
// Source: RFC 3339, section 5.6
func DateTime(s string) (time.Time, bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(s) <= seconds {
		return time.Time{}, false
	}
	plain := s
	if s[seconds] == '.' {
		end := seconds + 1
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if n := end - seconds - 1; n == 0 || n > maxFraction {
			return time.Time{}, false
		}
		plain = s[:seconds] + s[end:]
	}
	layout := "2006-01-02T15:04:05Z"
	if len(plain) != len(layout) {
		layout = "2006-01-02T15:04:05-07:00"
	}
	if _, ok := Time(layout, plain); !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// HTTPDate parses a date of HTTP, in its three forms. The weekday must match
// the date.
// Source: RFC 9110, section 5.6.7
func HTTPDate(s string) (time.Time, bool) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, t.Format(layout) == s
		}
	}
	return time.Time{}, false
}

// MailDate parses a date of mail with a numeric offset, such as "Mon, 02 Jan
// 2006 15:04:05 -0700".
// Source: RFC 5322, section 3.3
func MailDate(s string) (time.Time, bool) {
	t, ok := Time(time.RFC1123Z, s)
	const day = len("Mon, 02 Jan 2006")
	return t, ok && t.Format(time.RFC1123Z)[:day] == s[:day]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
