package history

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

func op(call, ret int64, in Request, out Answer) porcupine.Operation {
	in.Key = "k"
	if out.Unknown {
		ret = math.MaxInt64
	}
	return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
}

// The checker sees what must not be, and lets pass what may.
func TestModel(t *testing.T) {
	get := func(call int64, value string) porcupine.Operation {
		return op(call, call+1, Request{Kind: Get}, Answer{Value: value})
	}
	put := op(1, 2, Request{Kind: Put, Value: "a"}, Answer{})
	lost := op(1, 0, Request{Kind: Put, Value: "a"}, Answer{Unknown: true})
	complete := func(call int64, kind Kind, value string) porcupine.Operation {
		return op(call, call+1, Request{Kind: kind, ID: "u", Value: value}, Answer{})
	}
	copied := func(call, ret int64, read string, unknown bool) []porcupine.Operation {
		return []porcupine.Operation{
			op(call, ret, Request{Kind: CopyRead, ID: "c"}, Answer{Value: read, Unknown: unknown}),
			op(call, ret, Request{Kind: CopyWrite, ID: "c"}, Answer{Unknown: unknown}),
		}
	}
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		"read own write": {porcupine.Ok, []porcupine.Operation{put, get(3, "a")}},
		"stale read":     {porcupine.Illegal, []porcupine.Operation{put, get(3, "")}},
		"lost update": {porcupine.Illegal, []porcupine.Operation{put,
			op(3, 6, Request{Kind: PutIf, Old: "a", Value: "b"}, Answer{}), op(4, 5, Request{Kind: PutIf, Old: "a", Value: "c"}, Answer{})}},
		"two winners": {porcupine.Illegal, []porcupine.Operation{
			op(1, 4, Request{Kind: PutNew, Value: "a"}, Answer{}), op(2, 3, Request{Kind: PutNew, Value: "b"}, Answer{})}},
		"false refusal":   {porcupine.Illegal, []porcupine.Operation{op(1, 2, Request{Kind: PutNew, Value: "a"}, Answer{Refused: true})}},
		"late effect":     {porcupine.Ok, []porcupine.Operation{lost, get(3, ""), get(5, "a")}},
		"no effect":       {porcupine.Ok, []porcupine.Operation{lost, get(3, "")}},
		"effect and back": {porcupine.Illegal, []porcupine.Operation{lost, get(3, "a"), get(5, "")}},
		"deleted wrongly": {porcupine.Illegal, []porcupine.Operation{put, op(3, 4, Request{Kind: DeleteIf, Old: "b"}, Answer{})}},

		"completed twice":         {porcupine.Ok, []porcupine.Operation{complete(1, CompleteNew, "a"), complete(3, CompleteNew, "a"), get(5, "a")}},
		"completed again, late":   {porcupine.Ok, []porcupine.Operation{complete(1, Complete, "a"), op(3, 4, Request{Kind: Put, Value: "b"}, Answer{}), complete(5, Complete, "a"), get(7, "b")}},
		"a second effect":         {porcupine.Illegal, []porcupine.Operation{complete(1, Complete, "a"), op(3, 4, Request{Kind: Put, Value: "b"}, Answer{}), complete(5, Complete, "a"), get(7, "a")}},
		"complete without effect": {porcupine.Illegal, []porcupine.Operation{complete(1, Complete, "a"), get(3, "")}},
		"refused and completed":   {porcupine.Illegal, []porcupine.Operation{op(1, 2, Request{Kind: CompleteNew, ID: "u", Value: "a"}, Answer{Refused: true}), get(3, "a")}},
		"complete over another":   {porcupine.Illegal, []porcupine.Operation{put, complete(3, CompleteNew, "b")}},

		"copy":                     {porcupine.Ok, append(copied(3, 4, "a", false), put, get(5, "a"))},
		"copy of the overwritten":  {porcupine.Ok, append(copied(3, 8, "a", false), put, op(4, 5, Request{Kind: Put, Value: "b"}, Answer{}), get(6, "b"), get(9, "a"))},
		"copy of what never was":   {porcupine.Illegal, append(copied(3, 4, "b", false), put)},
		"copy before it was read":  {porcupine.Illegal, append(copied(3, 6, "b", false), put, get(7, "a"))},
		"unknown copy, late":       {porcupine.Ok, append(copied(3, 0, "", true), put, op(4, 5, Request{Kind: Put, Value: "b"}, Answer{}), get(6, "b"), get(9, "a"))},
		"unknown copy, of another": {porcupine.Illegal, append(copied(5, 0, "", true), put, op(3, 4, Request{Kind: Put, Value: "b"}, Answer{}), get(9, "a"))},
		"unknown copy, of nothing": {porcupine.Illegal, append(copied(1, 0, "", true), op(2, 3, Request{Kind: Put, Value: "b"}, Answer{}), get(9, ""))},
	} {
		if got := porcupine.CheckOperationsTimeout(Model, c.history, CheckTimeout); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	var l Log
	dir := t.TempDir()
	l.Return(1, l.Call(), Request{Kind: Put, Key: "k", Value: "a"}, Answer{})
	call := l.Call()
	l.Return(2, call, Request{Kind: Get, Key: "k"}, Answer{Value: "a"})
	l.Return(3, l.Call(), Request{Kind: Get, Key: "other"}, Answer{})
	if err := Check(dir, 7, l.Operations()); err != nil {
		t.Fatal(err)
	}
	l.Return(1, l.Call(), Request{Kind: Get, Key: "k"}, Answer{})
	err := Check(dir, 7, l.Operations())
	if err == nil || !strings.Contains(err.Error(), "seed 7") || !strings.Contains(err.Error(), string(porcupine.Illegal)) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "history-7.html")); err != nil {
		t.Error(err)
	}
}
