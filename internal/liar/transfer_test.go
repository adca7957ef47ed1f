package liar

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/sanctum-storage/gateway/transfer"
)

// side is a bucket of a server, as one end of a copy.
func side(t *testing.T, s *Server) transfer.Side {
	transport := transfer.NewTransport(4, nil)
	t.Cleanup(transport.CloseIdleConnections)
	return transfer.Side{Bucket: Bucket, Endpoint: transfer.Endpoint{URL: s.URL, Region: "us-east-1", Transport: transport,
		Credentials: func(context.Context) (transfer.Credential, error) {
			return transfer.Credential{AccessKey: "a", SecretKey: "b"}, nil
		}}}
}

// A source or target that lies: the copy ends, within its bounds of memory, and
// is called exact only if it is.
func TestTransferWithALiar(t *testing.T) {
	for _, c := range []struct {
		source bool
		call   string
		names  []string
	}{
		{false, "", []string{""}}, // the truth, which must be exact
		{false, Put, []string{"stored something else", "stored, and not, nor an ETag", "an endless body", "nothing", "no content", "another protocol", "endless contents"}},
		{false, List, []string{"the same page for ever", "empty pages for ever", "endless contents", "endless depth", "an endless body"}},
		{true, List, []string{"the same page for ever", "empty pages for ever", "endless contents", "endless depth", "more without a token", "twice"}},
		{true, Get, []string{"longer", "shorter", "an endless body with a length", "a huge length", "another protocol",
			"another range, told as the right one", "a part for all", "no such range", "not modified", "one byte more than it says", "gzip by the name of it"}},
		{true, Stat, []string{"another size", "not modified"}},
		{false, Stat, []string{"another size", "not modified", "not found"}},
		{false, Put, []string{"an ETag of another encoding", "an answer before the body"}},
	} {
		for _, name := range c.names {
			role := map[bool]string{true: "source", false: "target"}[c.source]
			t.Run(role+"/"+c.call+"/"+name, func(t *testing.T) {
				from, to := Start(t), Start(t)
				bodies := map[string][]byte{"a": random(3000), "b": random(200_000)}
				for key, body := range bodies {
					from.hold(key, body)
				}
				liar := to
				if c.source {
					liar = from
				}
				if c.call != "" {
					liar.Tell(c.call, of(t, name))
				}
				copier, err := transfer.New(transfer.Options{From: side(t, from), To: side(t, to)})
				if err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				report, err := copier.Run(t.Context())
				runtime.ReadMemStats(&after)
				if told := liar.Told.Load() > 0; told != (c.call != "") || !told && (err != nil || !report.Exact()) {
					t.Errorf("a lie was told: %v; %+v, %v", told, report, err)
				}
				if used := after.TotalAlloc - before.TotalAlloc; used > mostMemory {
					t.Errorf("%d bytes were allocated", used)
				}
				if err == nil && report.Exact() {
					for key, body := range bodies {
						if got := to.snapshot(key); got == nil || !bytes.Equal(got.data, body) {
							t.Errorf("%s is called exact, and is not there", key)
						}
					}
				}
				if from.Cookies.Load()+to.Cookies.Load()+from.Stolen.Load()+to.Stolen.Load() > 0 {
					t.Error("a cookie came back, or a redirect was followed")
				}
			})
		}
	}
}
