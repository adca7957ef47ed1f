package lifecycle

import (
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
)

// rules reads a stored document of rules; minimum sizes are S3's.
func rules(t *testing.T, document string) *Configuration {
	t.Helper()
	l, err := Parse([]byte(`{"minimum_size":"all_storage_classes_128K","rules":[` + document + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func day(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The examples are those of
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html,
// intro-lifecycle-rules.html and lifecycle-conflicts.html.
func TestJudge(t *testing.T) {
	const (
		expire3    = `{"id":"a","enabled":true,"filter":{},"expiration":{"days":3}}`
		noncurrent = `{"id":"a","enabled":true,"filter":{},"noncurrent_expiration":{"days":3}}`
		newer2     = `{"id":"a","enabled":true,"filter":{},"noncurrent_expiration":{"days":1,"newer":2}}`
		markers    = `{"id":"a","enabled":true,"filter":{},"expiration":{"delete_marker":true}}`
		tagged     = `{"id":"a","enabled":true,"filter":{"tags":[{"Name":"k","Value":"v"}]},"expiration":{"days":1}}`
		cool       = `{"id":"a","enabled":true,"filter":{},"transitions":[{"days":30,"class":"STANDARD_IA"},{"days":90,"class":"GLACIER_IR"}]}`
		away       = `{"id":"a","enabled":true,"filter":{},"transitions":[{"days":0,"class":"west"},{"days":10,"class":"north"}]}`
	)
	made := day(t, "2014-01-15 10:30:00")
	large := int64(1 << 20)
	obj := subject{key: "logs/a", size: large, modified: made}
	with := func(change func(*subject)) subject {
		s := obj
		change(&s)
		return s
	}
	old := with(func(s *subject) { s.displaced, s.kept = made, true })
	marker := with(func(s *subject) { s.marker, s.sole, s.kept, s.size = true, true, true, 0 })
	kept := with(func(s *subject) { s.kept = true })
	for _, test := range []struct {
		name, rules string
		s           subject
		now         string
		want        fate
		class       string
	}{
		{"days round up to midnight: before", expire3, obj, "2014-01-18 23:59:59", fateStay, ""},
		{"days round up to midnight: at it", expire3, obj, "2014-01-19 00:00:00", fateDelete, ""},
		{"made at midnight", expire3, with(func(s *subject) { s.modified = day(t, "2014-01-15 00:00:00") }), "2014-01-18 12:00:00", fateStay, ""},
		{"over the month's end", expire3, with(func(s *subject) { s.modified = day(t, "2014-02-27 23:00:00") }), "2014-03-03 00:00:00", fateDelete, ""},
		{"more days than there is time", `{"id":"a","enabled":true,"filter":{},"expiration":{"days":2147483647}}`, obj, "2999-01-01 00:00:00", fateStay, ""},
		{"disabled", `{"id":"a","enabled":false,"filter":{},"expiration":{"days":3}}`, obj, "2015-01-01 00:00:00", fateStay, ""},
		{"before a date", `{"id":"a","enabled":true,"filter":{},"expiration":{"date":"2014-02-01T00:00:00Z"}}`, obj, "2014-01-31 23:59:59", fateStay, ""},
		{"at a date", `{"id":"a","enabled":true,"filter":{},"expiration":{"date":"2014-02-01T00:00:00Z"}}`, obj, "2014-02-01 00:00:00", fateDelete, ""},
		{"made after the date", `{"id":"a","enabled":true,"filter":{},"expiration":{"date":"2013-02-01T00:00:00Z"}}`, obj, "2014-01-15 10:31:00", fateDelete, ""},
		{"of another prefix", `{"id":"a","enabled":true,"filter":{"prefix":"tmp/"},"expiration":{"days":1}}`, obj, "2015-01-01 00:00:00", fateStay, ""},
		{"of the prefix", `{"id":"a","enabled":true,"filter":{"prefix":"logs/"},"expiration":{"days":1}}`, obj, "2015-01-01 00:00:00", fateDelete, ""},
		{"too small", `{"id":"a","enabled":true,"filter":{"above":1048576},"expiration":{"days":1}}`, obj, "2015-01-01 00:00:00", fateStay, ""},
		{"large enough", `{"id":"a","enabled":true,"filter":{"above":1048575},"expiration":{"days":1}}`, obj, "2015-01-01 00:00:00", fateDelete, ""},
		{"tagged otherwise", tagged, with(func(s *subject) {
			s.tags = func() ([]engine.Pair, error) { return []engine.Pair{{Name: "k", Value: "w"}}, nil }
		}), "2015-01-01 00:00:00", fateStay, ""},
		{"tagged", tagged, with(func(s *subject) {
			s.tags = func() ([]engine.Pair, error) { return []engine.Pair{{Name: "k", Value: "v"}}, nil }
		}), "2015-01-01 00:00:00", fateDelete, ""},

		{"noncurrent since not long enough", noncurrent, old, "2014-01-18 23:59:59", fateStay, ""},
		{"noncurrent long enough", noncurrent, old, "2014-01-19 00:00:00", fateRemove, ""},
		{"noncurrent rules are not for the current", noncurrent, kept, "2015-01-01 00:00:00", fateStay, ""},
		{"current rules are not for the noncurrent", expire3, old, "2015-01-01 00:00:00", fateStay, ""},
		{"one newer of two kept", newer2, with(func(s *subject) { *s = old; s.newer = 1 }), "2015-01-01 00:00:00", fateStay, ""},
		{"two newer of two kept", newer2, with(func(s *subject) { *s = old; s.newer = 2 }), "2015-01-01 00:00:00", fateRemove, ""},
		{"two newer, but young", newer2, with(func(s *subject) { *s = old; s.newer = 9 }), "2014-01-16 23:00:00", fateStay, ""},
		{"a noncurrent marker", noncurrent, with(func(s *subject) { *s = old; s.marker = true }), "2015-01-01 00:00:00", fateRemove, ""},

		{"a marker alone", markers, marker, "2014-01-15 10:31:00", fateRemove, ""},
		{"a marker over versions", markers, with(func(s *subject) { *s = marker; s.sole = false }), "2015-01-01 00:00:00", fateStay, ""},
		{"a marker alone, by days, young", expire3, marker, "2014-01-18 23:00:00", fateStay, ""},
		{"a marker alone, by days", expire3, marker, "2014-01-19 00:00:00", fateRemove, ""},
		{"a marker has no tags", tagged, marker, "2015-01-01 00:00:00", fateStay, ""},
		{"a current marker is not deleted again", expire3, with(func(s *subject) { *s = marker; s.sole = false }), "2015-01-01 00:00:00", fateStay, ""},

		{"too early to cool", cool, obj, "2014-02-14 23:00:00", fateStay, ""},
		{"cool", cool, obj, "2014-02-15 00:00:00", fateMove, "STANDARD_IA"},
		{"cool already", cool, with(func(s *subject) { s.class = "STANDARD_IA" }), "2014-02-15 00:00:00", fateStay, ""},
		{"cooler", cool, with(func(s *subject) { s.class = "STANDARD_IA" }), "2014-05-01 00:00:00", fateMove, "GLACIER_IR"},
		{"both at once: the furthest", cool, obj, "2014-05-01 00:00:00", fateMove, "GLACIER_IR"},
		{"never back", cool, with(func(s *subject) { s.class = "GLACIER_IR" }), "2014-02-15 00:00:00", fateStay, ""},
		{"small objects stay", cool, with(func(s *subject) { s.size = 128<<10 - 1 }), "2014-05-01 00:00:00", fateStay, ""},
		{"not so small", cool, with(func(s *subject) { s.size = 128 << 10 }), "2014-05-01 00:00:00", fateMove, "GLACIER_IR"},
		{"small, but the rule has a size", `{"id":"a","enabled":true,"filter":{"above":1},"transitions":[{"days":30,"class":"STANDARD_IA"}]}`,
			with(func(s *subject) { s.size = 100 }), "2014-05-01 00:00:00", fateMove, "STANDARD_IA"},
		{"markers have no class", cool, marker, "2014-05-01 00:00:00", fateStay, ""},
		{"to a backend the next midnight", away, obj, "2014-01-16 00:00:00", fateMove, "west"},
		{"to the backend of the later rule", away, with(func(s *subject) { s.class = "west" }), "2014-01-26 00:00:00", fateMove, "north"},
		{"there already", away, with(func(s *subject) { s.class = "north" }), "2014-01-26 00:00:00", fateStay, ""},
		{"from a backend to no label", cool, with(func(s *subject) { s.class = "west" }), "2014-05-01 00:00:00", fateStay, ""},
		{"noncurrent transitions", `{"id":"a","enabled":true,"filter":{},"noncurrent_transitions":[{"days":30,"newer":1,"class":"ONEZONE_IA"}]}`,
			with(func(s *subject) { *s = old; s.newer = 1 }), "2014-05-01 00:00:00", fateMove, "ONEZONE_IA"},

		{"the shorter of two expirations", expire3 + `,{"id":"b","enabled":true,"filter":{"prefix":"logs/"},"expiration":{"days":365}}`, obj, "2014-01-19 00:00:00", fateDelete, ""},
		{"removal before transition", noncurrent + `,{"id":"b","enabled":true,"filter":{},"noncurrent_transitions":[{"days":1,"class":"ONEZONE_IA"}]}`, old, "2015-01-01 00:00:00", fateRemove, ""},
		{"deletion for good before transition", expire3 + `,` + cool, obj, "2015-01-01 00:00:00", fateDelete, ""},
		{"transition before a delete marker", expire3 + `,` + cool, kept, "2015-01-01 00:00:00", fateMove, "GLACIER_IR"},
		{"and then the marker", expire3 + `,` + cool, with(func(s *subject) { *s = kept; s.class = "GLACIER_IR" }), "2015-01-01 00:00:00", fateDelete, ""},
		{"the colder of two rules' classes", `{"id":"a","enabled":true,"filter":{},"transitions":[{"days":30,"class":"GLACIER_IR"}]},` +
			`{"id":"b","enabled":true,"filter":{},"transitions":[{"days":60,"class":"STANDARD_IA"}]}`, obj, "2014-05-01 00:00:00", fateMove, "GLACIER_IR"},
	} {
		s := test.s
		if s.tags == nil {
			s.tags = func() ([]engine.Pair, error) { t.Errorf("%s: tags were asked for", test.name); return nil, nil }
		}
		got, class, err := rules(t, test.rules).judge(&s, day(t, test.now))
		if err != nil || got != test.want || class != test.class {
			t.Errorf("%s: %d %q, %v; want %d %q", test.name, got, class, err, test.want, test.class)
		}
	}
}

// Tags that cannot be read name nothing, and are an error only where a rule asks.
func TestJudgeUnreadableTags(t *testing.T) {
	broken := errors.New("broken")
	s := subject{key: "k", size: 1, tags: func() ([]engine.Pair, error) { return nil, broken }}
	late := day(t, "2030-01-01 00:00:00")
	l := rules(t, `{"id":"a","enabled":true,"filter":{"tags":[{"Name":"k","Value":"v"}]},"expiration":{"days":1}}`)
	if f, _, err := l.judge(&s, late); f != fateStay || !errors.Is(err, broken) {
		t.Errorf("%v, %v", f, err)
	}
	l = rules(t, `{"id":"a","enabled":true,"filter":{"prefix":"other","tags":[{"Name":"k","Value":"v"}],"and":true},"expiration":{"days":1}}`)
	if f, _, err := l.judge(&s, late); f != fateStay || err != nil {
		t.Errorf("%v, %v", f, err)
	}
}

func TestLifecyclePrefixes(t *testing.T) {
	l := rules(t, `{"id":"a","enabled":true,"filter":{"prefix":"logs/2014/"},"expiration":{"days":1}},
		{"id":"b","enabled":true,"filter":{"prefix":"tmp/"},"abort_upload_days":1,"expiration":{"days":1}},
		{"id":"c","enabled":true,"filter":{"prefix":"logs/"},"expiration":{"days":1}},
		{"id":"d","enabled":false,"filter":{},"expiration":{"days":1}}`)
	if got := l.prefixes(ofVersions); len(got) != 2 || got[0] != "logs/" || got[1] != "tmp/" {
		t.Errorf("%q", got)
	}
	if got := l.prefixes(ofUploads); len(got) != 1 || got[0] != "tmp/" {
		t.Errorf("%q", got)
	}
	begun := day(t, "2014-01-15 10:30:00")
	if l.aborts("tmp/a", begun, day(t, "2014-01-16 23:00:00")) || !l.aborts("tmp/a", begun, day(t, "2014-01-17 00:00:00")) || l.aborts("x", begun, day(t, "2015-01-01 00:00:00")) {
		t.Error("uploads are aborted at another time or place")
	}
}
