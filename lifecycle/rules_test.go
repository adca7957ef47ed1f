package lifecycle

import (
	"reflect"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
)

func TestLifecycleFilterMatches(t *testing.T) {
	logs, above, below := "logs/", int64(10), int64(20)
	for name, test := range map[string]struct {
		filter Filter
		key    string
		size   int64
		tags   []engine.Pair
		want   bool
	}{
		"everything":      {Filter{}, "x", 0, nil, true},
		"prefix":          {Filter{Prefix: &logs}, "logs/a", 0, nil, true},
		"other prefix":    {Filter{Prefix: &logs}, "logsa", 0, nil, false},
		"at the bound":    {Filter{Above: &above}, "x", 10, nil, false},
		"above":           {Filter{Above: &above}, "x", 11, nil, true},
		"below":           {Filter{Below: &below}, "x", 19, nil, true},
		"not below":       {Filter{Below: &below}, "x", 20, nil, false},
		"one of two tags": {Filter{Tags: []engine.Pair{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}, "x", 0, []engine.Pair{{Name: "a", Value: "1"}}, false},
		"both tags":       {Filter{Tags: []engine.Pair{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}, "x", 0, []engine.Pair{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}, true},
		"other value":     {Filter{Tags: []engine.Pair{{Name: "a", Value: "1"}}}, "x", 0, []engine.Pair{{Name: "a", Value: "2"}}, false},
	} {
		if got := test.filter.Matches(test.key, test.size, test.tags); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The document as the first release to have it wrote it. It is read for ever.
func TestParseLifecycle(t *testing.T) {
	l, err := Parse([]byte(`{"rules":[{"id":"r","enabled":true,
		"filter":{"prefix":"p","tags":[{"Name":"a","Value":"b"}],"above":1,"below":3,"and":true},
		"expiration":{"date":"2030-01-01T00:00:00Z"},"noncurrent_expiration":{"days":3,"newer":2},
		"transitions":[{"days":30,"class":"STANDARD_IA"}],"noncurrent_transitions":[{"days":0,"newer":1,"class":"GLACIER_IR"}],
		"abort_upload_days":7}],"minimum_size":"all_storage_classes_128K"}`))
	if err != nil {
		t.Fatal(err)
	}
	r := l.Rules[0]
	if l.MinimumSize != MinimumSizeAll || r.ID != "r" || !r.Enabled || *r.Filter.Prefix != "p" || !r.Filter.And ||
		!reflect.DeepEqual(r.Filter.Tags, []engine.Pair{{Name: "a", Value: "b"}}) || *r.Filter.Above != 1 || *r.Filter.Below != 3 ||
		r.Expiration.Date.Year() != 2030 || *r.NoncurrentExpiration != (NoncurrentExpiration{3, 2}) ||
		*r.Transitions[0].Days != 30 || r.NoncurrentTransitions[0] != (NoncurrentTransition{0, 1, "GLACIER_IR"}) || r.AbortUploadDays != 7 {
		t.Errorf("%+v", l)
	}
	for _, document := range []string{"x", `{"rules":[{"id":"r","filter":{"owner":"o"}}]}`} {
		if _, err := Parse([]byte(document)); err == nil {
			t.Errorf("no error for %s", document)
		}
	}
}
