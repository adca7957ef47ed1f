package admin_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// The memory that a request may need, client and server together: so many bytes
// for each byte of its document, and those of any request.
const (
	documentFactor  = 40
	documentAllowed = 2 << 20
)

// Every call with a body refuses documents that are costly or can be read in
// two ways, at a cost bounded by their length, and changes nothing.
func TestHostileBodies(t *testing.T) {
	s := start(t)
	for _, setup := range [][2]string{{"/v1/tenants", `{"name":"alice"}`}, {"/v1/tenants/alice/users", `{"name":"carol"}`}} {
		decode(t, s.call(t, "POST", setup[0], setup[1]), 201, nil)
	}
	alice, err := s.Engine.Accounts().TenantByName(t.Context(), "alice")
	if err == nil {
		_, err = s.Engine.Buckets().Create(t.Context(), "records", "", alice.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	picture := func() (all string) {
		for _, target := range []string{"/v1/tenants", "/v1/tenants/alice/users", "/v1/tenants/alice/limits",
			"/v1/tenants/alice/users/carol/limits", "/v1/buckets/records/limits", "/v1/buckets/records", "/v1/tenants/alice/access-keys", "/v1/tenants/alice/users/carol/access-keys", "/v1/backends"} {
			all += s.call(t, "GET", target, "").body + "\n"
		}
		return all
	}
	before := picture()
	for _, route := range routes {
		if route.body == "" || route.target == "/v1/nowhere" {
			continue
		}
		docs := gatewaytest.HostileJSON(admin.MaxBody * 3 / 4)
		name, _, _ := strings.Cut(strings.TrimPrefix(route.body, "{"), ":")
		if name != "}" {
			docs["the same member twice"] = strings.TrimSuffix(route.body, "}") + "," + name + ":null}"
			docs["the same member in capitals"] = strings.TrimSuffix(route.body, "}") + "," + strings.ToUpper(name) + ":null}"
			docs["a list for a member"] = "{" + name + ":[1,2]}"
			docs["an object for a member"] = "{" + name + `:{"a":1}}`
			docs["a long text"] = "{" + name + `:"` + strings.Repeat("a", admin.MaxBody*3/4) + `"}`
		}
		for what, doc := range docs {
			var a answer
			var was, is runtime.MemStats
			runtime.ReadMemStats(&was)
			a = s.call(t, route.method, route.target, doc)
			runtime.ReadMemStats(&is)
			if a.status != 400 && !(a.status == 404 && what == "a long text") { // there is nothing with that name
				t.Errorf("%s %s, %s: %d %.200s", route.method, route.target, what, a.status, a.body)
			}
			if used, most := is.TotalAlloc-was.TotalAlloc, uint64(documentFactor*len(doc)+documentAllowed); used > most {
				t.Errorf("%s %s, %s: %d bytes allocated %d, more than %d", route.method, route.target, what, len(doc), used, most)
			}
		}
	}
	if after := picture(); after != before {
		t.Errorf("a refused document changed something:\n%s\n%s", before, after)
	}
}
