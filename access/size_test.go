package access

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// fill is a document of the allowed size with as many items as fit.
func fill(most int, before string, item func(i int) string, after string) []byte {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; ; i++ {
		next := item(i)
		if b.Len()+len(next)+len(after) > most {
			break
		}
		b.WriteString(next + ",")
	}
	return []byte(strings.TrimSuffix(b.String(), ",") + after)
}

// Policies need no more memory than a few times their text, whatever they
// contain, and no more than Size says.
func TestPolicySize(t *testing.T) {
	// Bytes of memory for a byte of text, as the caches count them. The widest case
	// comes within a hundredth of it, and what else the run-time holds varies by as
	// much: a twentieth more is let pass.
	const most = 8
	condition := func(begin string, item func(i int) string, end string) []byte {
		return fill(MaxIdentityPolicyBytes,
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{`+begin, item, end+`}}}`)
	}
	values := func(operator string, item func(i int) string) []byte {
		return condition(`"`+operator+`":{"aws:a":[`, item, `]}`)
	}
	resource := func(pattern func(i int) string) []byte {
		return fill(MaxIdentityPolicyBytes, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":[`,
			func(i int) string { return fmt.Sprintf("%q", "arn:aws:s3:::"+pattern(i)) }, `]}}`)
	}
	for name, c := range map[string]struct {
		kind string
		doc  []byte
	}{
		"one long run of question marks": {"identity", resource(func(i int) string { return strings.Repeat("?", 9000) })},
		"as many letters as there are":   {"identity", resource(func(i int) string { return "?" + string(rune(0x3400+2*i)) + string(rune(0x3401+2*i)) + "?" })},
		"a pattern of all letters": {"identity", resource(func(i int) string {
			var b strings.Builder
			for c := range 2500 {
				b.WriteString("?" + string(rune(0x3400+c)))
			}
			return b.String()
		})},
		"stars":              {"identity", resource(func(i int) string { return fmt.Sprint(strings.Repeat("*a", 4000), i) })},
		"stars alone":        {"identity", resource(func(i int) string { return fmt.Sprint(strings.Repeat("*", 9000), i) })},
		"short patterns":     {"identity", resource(func(i int) string { return fmt.Sprint("?", i) })},
		"variables":          {"identity", resource(func(i int) string { return fmt.Sprint(strings.Repeat("${a:b}", 20), i) })},
		"variables in short": {"identity", resource(func(i int) string { return fmt.Sprint("${a:b}", i) })},
		"short values":       {"identity", values("StringLike", func(i int) string { return fmt.Sprint(i) })},
		"equal values":       {"identity", values("StringLike", func(i int) string { return "1" })},
		"numbers":            {"identity", values("NumericEquals", func(i int) string { return fmt.Sprint(i) })},
		"years":              {"identity", values("DateEquals", func(i int) string { return fmt.Sprint(1000 + i) })},
		"networks":           {"identity", values("IpAddress", func(i int) string { return fmt.Sprintf(`"::%x"`, i) })},
		"bytes":              {"identity", values("BinaryEquals", func(i int) string { return fmt.Sprintf(`"%04d"`, i) })},
		"keys of conditions": {"identity", condition(`"Null":{`, func(i int) string { return fmt.Sprintf(`"aws:%d":true`, i) }, `}`)},
		"keys of tags":       {"identity", condition(`"StringLike":{`, func(i int) string { return fmt.Sprintf(`"s3:ExistingObjectTag/%d":"*%d?"`, i, i) }, `}`)},
		"ARNs of conditions": {"identity", values("ArnLike", func(i int) string { return fmt.Sprintf(`"arn:aws:s?:*:?:%d"`, i) })},
		"statements": {"identity",
			fill(MaxIdentityPolicyBytes, `{"Statement":[`, func(int) string { return `{"Effect":"Deny","Action":"*","Resource":"*"}` }, `]}`)},
		"named statements": {"identity", fill(MaxIdentityPolicyBytes, `{"Statement":[`, func(i int) string {
			return fmt.Sprintf(`{"Sid":"%d","Effect":"Deny","Action":"a:*","Resource":"*"}`, i)
		}, `]}`)},
		"actions": {"identity", fill(MaxIdentityPolicyBytes, `{"Statement":{"Effect":"Deny","Resource":"*","Action":[`,
			func(i int) string { return fmt.Sprintf(`"a:%d?"`, i) }, `]}}`)},
		"principals": {"bucket", fill(MaxBucketPolicyBytes,
			`{"Statement":{"Effect":"Deny","Resource":"arn:aws:s3:::photos/*","Action":"s3:*","Principal":{"AWS":[`, func(i int) string { return fmt.Sprintf(`"%012d"`, i+1) }, `]}}}`)},
		"statements of a bucket": {"bucket", fill(MaxBucketPolicyBytes, `{"Statement":[`, func(i int) string {
			return fmt.Sprintf(`{"Effect":"Deny","Resource":"arn:aws:s3:::photos/*?%d","Action":"s3:*","Principal":{"AWS":"%012d"}}`, i, i+1)
		}, `]}`)},
	} {
		const copies = 20
		all := make([]*Policy, copies)
		held := math.MaxInt
		for range 3 { // what the run-time itself holds meanwhile only adds
			clear(all)
			before := heapInUse()
			for i := range all {
				var err error
				if all[i], err = parseKind(c.kind, c.doc); err != nil {
					t.Fatalf("%s: %v: %.300s … %s", name, err, c.doc, c.doc[len(c.doc)-20:])
				}
			}
			held = min(held, (heapInUse()-before)/copies)
		}
		t.Logf("%-32s %5d bytes of text: %6d held, %.1f times; Size %d", name, len(c.doc), held, float64(held)/float64(len(c.doc)), all[0].Size())
		if held > most*len(c.doc)*21/20 {
			t.Errorf("%s: %d bytes of text take %d bytes", name, len(c.doc), held)
		}
		if size := all[0].Size(); held > size*6/5 || size > held*2 {
			t.Errorf("%s: Size is %d, and %d bytes are held", name, size, held)
		}
		runtime.KeepAlive(all)
	}
}

// heapInUse is how many bytes are held, after two collections: the first leaves what
// pools keep for one more.
func heapInUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
