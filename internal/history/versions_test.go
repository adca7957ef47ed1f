package history

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// The checker of versions sees what must not be, and lets pass what may.
func TestVersionsModel(t *testing.T) {
	var clock int64
	op := func(in VersionRequest, out VersionAnswer) porcupine.Operation {
		clock += 2
		if in.Kind != Enable && in.Kind != Suspend {
			in.Key = "k"
		}
		return porcupine.Operation{Input: in, Output: out, Call: clock, Return: clock + 1}
	}
	put := func(version, value string) porcupine.Operation {
		return op(VersionRequest{Kind: Put, Value: value}, VersionAnswer{Version: version})
	}
	drop := func(version string, marker bool) porcupine.Operation {
		return op(VersionRequest{Kind: DeleteVersion, Version: version}, VersionAnswer{Marker: marker})
	}
	mark := func(version string) porcupine.Operation {
		return op(VersionRequest{Kind: Delete}, VersionAnswer{Version: version})
	}
	get := func(version, value string) porcupine.Operation {
		return op(VersionRequest{Kind: Get}, VersionAnswer{Version: version, Value: value})
	}
	named := func(version, value string, marker bool) porcupine.Operation {
		return op(VersionRequest{Kind: GetVersion, Version: version}, VersionAnswer{Value: value, Marker: marker})
	}
	list := func(all ...KeptVersion) porcupine.Operation {
		return op(VersionRequest{Kind: ListVersions}, VersionAnswer{All: all})
	}
	set := func(k Kind) porcupine.Operation { return op(VersionRequest{Kind: k}, VersionAnswer{}) }
	a, b, m, null := KeptVersion{"1", "a"}, KeptVersion{"2", "b"}, KeptVersion{"3", ""}, KeptVersion{Null, "n"}
	const ok, bad = porcupine.Ok, porcupine.Illegal
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		"kept":                     {ok, []porcupine.Operation{put("1", "a"), put("2", "b"), get("2", "b"), named("1", "a", false), list(b, a)}},
		"lost":                     {bad, []porcupine.Operation{put("1", "a"), put("2", "b"), named("1", "", false)}},
		"the older is latest":      {bad, []porcupine.Operation{put("1", "a"), put("2", "b"), get("1", "a")}},
		"listed in another order":  {bad, []porcupine.Operation{put("1", "a"), put("2", "b"), list(a, b)}},
		"listed twice":             {bad, []porcupine.Operation{put("1", "a"), list(a, a)}},
		"one id twice":             {bad, []porcupine.Operation{put("1", "a"), put("1", "b")}},
		"marked":                   {ok, []porcupine.Operation{put("1", "a"), mark("3"), get("", ""), list(m, a), named("3", "", true), drop("3", true), get("1", "a")}},
		"a marker is forgotten":    {bad, []porcupine.Operation{put("1", "a"), mark("3"), get("1", "a")}},
		"removed":                  {ok, []porcupine.Operation{put("1", "a"), put("2", "b"), drop("2", false), drop("2", false), get("1", "a")}},
		"removed, and still there": {bad, []porcupine.Operation{put("1", "a"), drop("1", false), named("1", "a", false)}},
		"suspended":                {ok, []porcupine.Operation{put("1", "a"), set(Suspend), put(Null, "x"), put(Null, "n"), list(null, a), set(Enable), put("2", "b"), list(b, null, a)}},
		"two null versions":        {bad, []porcupine.Operation{set(Suspend), put(Null, "x"), put(Null, "n"), list(null, KeptVersion{Null, "x"})}},
		"null while enabled":       {bad, []porcupine.Operation{put(Null, "n")}},
		"an id while suspended":    {bad, []porcupine.Operation{set(Suspend), put("1", "a")}},
		"null makes way for a marker": {ok, []porcupine.Operation{set(Suspend), put(Null, "n"), set(Enable), put("1", "a"), set(Suspend), mark(Null),
			list(KeptVersion{Null, ""}, a)}},
		"new over a marker": {ok, []porcupine.Operation{put("1", "a"), mark("3"), op(VersionRequest{Kind: PutNew, Value: "b"}, VersionAnswer{Version: "2"})}},
		"new over another":  {bad, []porcupine.Operation{put("1", "a"), op(VersionRequest{Kind: PutNew, Value: "b"}, VersionAnswer{Version: "2"})}},
		"deleted wrongly":   {bad, []porcupine.Operation{put("1", "a"), op(VersionRequest{Kind: DeleteIf, Old: "b"}, VersionAnswer{Version: "3"})}},
	} {
		if got := porcupine.CheckOperationsTimeout(Versions, c.history, CheckTimeout); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
