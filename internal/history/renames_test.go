package history

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// The checker sees an object that has two names, or none, or was renamed twice.
func TestRenamesModel(t *testing.T) {
	at := func(call, ret int64, in Request, out Answer) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	put := at(1, 2, Request{Kind: Put, Key: "a", Value: "1"}, Answer{})
	over := at(1, 2, Request{Kind: Put, Key: "b", Value: "2"}, Answer{})
	move := func(call, ret int64, refused bool) porcupine.Operation {
		return at(call, ret, Request{Kind: Rename, Key: "a", To: "b"}, Answer{Refused: refused})
	}
	fresh := func(refused bool) porcupine.Operation {
		return at(3, 4, Request{Kind: RenameNew, Key: "a", To: "b"}, Answer{Refused: refused})
	}
	get := func(call int64, key, value string) porcupine.Operation {
		return at(call, call+1, Request{Kind: Get, Key: key}, Answer{Value: value})
	}
	list := func(call int64, all string) porcupine.Operation {
		return at(call, call+1, Request{Kind: List}, Answer{Value: all})
	}
	lost := at(3, 1<<40, Request{Kind: Rename, Key: "a", To: "b"}, Answer{Unknown: true})
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		"renamed":             {porcupine.Ok, []porcupine.Operation{put, move(3, 4, false), get(5, "a", ""), get(6, "b", "1"), list(7, "b=1;")}},
		"two names":           {porcupine.Illegal, []porcupine.Operation{put, move(3, 4, false), get(5, "a", "1")}},
		"no name":             {porcupine.Illegal, []porcupine.Operation{put, move(3, 4, false), get(5, "b", "")}},
		"two names at once":   {porcupine.Illegal, []porcupine.Operation{put, move(3, 6, false), list(4, "a=1;b=1;")}},
		"no name at once":     {porcupine.Illegal, []porcupine.Operation{put, move(3, 6, false), list(4, "")}},
		"while it is renamed": {porcupine.Ok, []porcupine.Operation{put, move(3, 6, false), list(4, "a=1;")}},
		"found twice":         {porcupine.Illegal, []porcupine.Operation{put, move(3, 6, false), move(4, 5, false)}},
		"found once":          {porcupine.Ok, []porcupine.Operation{put, move(3, 6, false), move(4, 5, true)}},
		"over another":        {porcupine.Ok, []porcupine.Operation{put, over, move(3, 4, false), list(5, "b=1;")}},
		"not over another":    {porcupine.Illegal, []porcupine.Operation{put, over, fresh(false)}},
		"refused":             {porcupine.Ok, []porcupine.Operation{put, over, fresh(true), list(5, "a=1;b=2;")}},
		"refused for nothing": {porcupine.Illegal, []porcupine.Operation{put, fresh(true)}},
		"lost, and happened":  {porcupine.Ok, []porcupine.Operation{put, lost, list(5, "a=1;"), list(7, "b=1;")}},
		"lost, and did not":   {porcupine.Ok, []porcupine.Operation{put, lost, list(5, "a=1;")}},
		"lost, and came back": {porcupine.Illegal, []porcupine.Operation{put, lost, list(5, "b=1;"), list(7, "a=1;")}},
	} {
		if got, _ := porcupine.CheckOperationsVerbose(Renames, c.history, CheckTimeout); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
