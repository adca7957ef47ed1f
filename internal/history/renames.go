package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Kinds of requests that concern two keys, or all. In a history with them Get, Put,
// PutNew and Delete have their usual meaning; no other kinds occur.
const (
	Rename    Kind = "rename"     // Request.Key to Request.To; refused if Key holds nothing
	RenameNew Kind = "rename-new" // and if To holds something
	List      Kind = "list"       // of all keys at one moment; the answer's value is that of Listed
)

// Renames is the order in which requests take effect on a few keys together.
var Renames = porcupine.Model{
	Init: func() any { return Listed(nil) },
	Step: func(state, input, output any) (bool, any) {
		return stepRenames(state.(string), input.(Request), output.(Answer))
	},
	DescribeOperation: func(input, output any) string { return describe(input.(Request), output.(Answer)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%.120q", state) },
}

// Listed encodes the values of keys as one text for each state. Keys have no =, and
// values no semicolon.
func Listed(keys map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if keys[k] != "" {
			fmt.Fprintf(&b, "%s=%s;", k, keys[k])
		}
	}
	return b.String()
}

func stepRenames(now string, in Request, out Answer) (bool, string) {
	keys := make(map[string]string)
	for entry := range strings.SplitSeq(strings.TrimSuffix(now, ";"), ";") {
		k, v, _ := strings.Cut(entry, "=")
		keys[k] = v
	}
	holds := true
	switch in.Kind {
	case Get:
		return out.Value == keys[in.Key], now
	case List:
		return out.Value == now, now
	case PutNew:
		holds = keys[in.Key] == ""
	case Rename:
		holds = keys[in.Key] != ""
	case RenameNew:
		holds = keys[in.Key] != "" && keys[in.To] == ""
	}
	next := now
	if holds {
		if in.To != "" {
			keys[in.To] = keys[in.Key]
		}
		keys[in.Key] = in.Value
		next = Listed(keys)
	}
	return out.Unknown || holds != out.Refused, next
}

// CheckRenames is Check for histories with renames.
func CheckRenames(dir string, seed uint64, history []porcupine.Operation) error {
	return check(Renames, dir, seed, history)
}
