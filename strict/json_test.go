package strict

import (
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	for document, ok := range map[string]bool{
		`{}`: true, `[]`: true, `null`: true, `"a"`: true, ` {"a":[1,{"b":null}]} `: true, `{"a":1,"b":2}`: true, `[[[]]]`: true, `[1,2,3,4,5,6]`: true,
		`{"a":{"a":{"a":1}}}`: true, "": false, `{}{}`: false, `{}x`: false, `{"a":1,"a":2}`: false, `{"a":1,"A":2}`: false, `{"a":[{"b":1,"B":1}]}`: false,
		`[[[[]]]]`: false, `[1,2,3,4,5,6,7]`: false, `{"a":`: false, `[`: false, `[1,]`: false, "{\"\xff\":1}": false, "\uFEFF{}": false, `{a:1}`: false, `{1:1}`: false,
		`{"a"`: false, `]`: false, `{"a":1]`: false, strings.Repeat("[", 100_000): false,
	} {
		if err := JSON([]byte(document), 3, 7); (err == nil) != ok {
			t.Errorf("%.40q: %v", document, err)
		}
	}
}
