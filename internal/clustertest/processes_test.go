//go:build linux

package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/topology"
)

const (
	// recovery is within what time of healing everything works again, without
	// anyone's hand.
	recovery = 30 * time.Second
	// outage is how long a database or storage stays away at least.
	outage = 2 * time.Second
	// shortPause of a gateway is one after which nobody has taken it for dead.
	shortPause = 3 * time.Second
	// ramp is how many requests are acknowledged before and after each fault.
	ramp = 60
	// probePause lies between two looks at something that is waited for.
	probePause = 50 * time.Millisecond
)

// Three gateways over one PostgreSQL and one S3 bucket lose nothing that they
// acknowledged, and bring nothing back, whatever of them is killed or paused.
func TestProcesses(t *testing.T) {
	top, err := topology.Start(t.Context(), topology.Options{Dir: t.TempDir(), Durable: true,
		Env: []string{"SANCTUM_COLLECTOR_GRACE=5s", "SANCTUM_COLLECTOR_INTERVAL=1s"}})
	must(t, err)
	t.Cleanup(func() {
		if err := top.Close(); err != nil {
			t.Error(err)
		}
	})
	b := newBattle(t, top)
	for n, round := range rounds {
		began := time.Now()
		b.start()
		b.pass(ramp)
		round.do(b, n%len(top.Gateways))
		b.pass(ramp)
		b.pause()
		b.settle()
		if t.Failed() {
			t.FailNow()
		}
		t.Logf("%s: %s", round.name, time.Since(began).Round(time.Millisecond))
	}
	b.verify()
	t.Logf("acknowledged: %v", b.counts)
	for _, what := range []string{"put", "overwrite", "large put", "multipart", "delete", "copy", "read",
		"count", "refused count", "race", "refused race", "in doubt: undone"} {
		if b.counts[what] == 0 {
			t.Errorf("seed %d: no %s: the test shows less than it should", b.seed, what)
		}
	}
	for _, g := range top.Gateways {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
		noPanic(t, g)
	}
	wantClean(t, top)
}

// round is one fault under load. do returns when it is over and mended.
type round struct {
	name string
	do   func(b *battle, gateway int)
}

// eachFault is one round of each.
var eachFault = []round{
	{"kill of a gateway", (*battle).killGateway},
	{"kill of PostgreSQL", (*battle).killPostgres},
	{"pause of a gateway", (*battle).pauseGateway},
	{"kill of the storage", (*battle).killStorage},
	{"kill of a gateway that rotates keys", (*battle).killRotating},
}

func (b *battle) killGateway(n int) {
	b.excused[n].Store(true)
	b.top.Gateways[n].Kill()
	b.pass(ramp) // at the others
	must(b.t, b.top.Gateways[n].Restart(b.t.Context()))
	b.excused[n].Store(false)
}

func (b *battle) pauseGateway(n int) { b.pauseFor(n, shortPause) }

// pauseFor stops a gateway in the middle of whatever it does.
func (b *battle) pauseFor(n int, d time.Duration) {
	b.excused[n].Store(true)
	must(b.t, b.top.Gateways[n].Pause())
	time.Sleep(d)
	must(b.t, b.top.Gateways[n].Resume())
	b.recover()
}

func (b *battle) killPostgres(int) {
	b.excuseAll()
	must(b.t, b.top.Postgres.Kill())
	b.await(http.StatusServiceUnavailable)
	must(b.t, b.top.Postgres.Restart())
	b.recover()
}

func (b *battle) killStorage(int) {
	b.excuseAll()
	b.top.S3.Kill()
	b.await(http.StatusOK) // names, lists and small objects are served without it
	must(b.t, b.top.S3.Restart(b.t.Context()))
	b.recover()
}

func (b *battle) excuseAll() {
	for i := range b.excused {
		b.excused[i].Store(true)
	}
}

// await waits, for the time of an outage at least, until every gateway's readiness is
// as it should be, while it is alive.
func (b *battle) await(want int) {
	b.t.Helper()
	began := time.Now()
	for i, g := range b.top.Gateways {
		for {
			if live := b.status(g, "livez"); live != http.StatusOK {
				b.t.Fatalf("seed %d: gateway %d: /livez answers %d", b.seed, i+1, live)
			}
			ready := b.status(g, "readyz")
			if ready == want && time.Since(began) >= outage {
				break
			}
			if time.Since(began) > recovery {
				b.t.Fatalf("seed %d: gateway %d: /readyz answers %d after %s", b.seed, i+1, ready, recovery)
			}
			time.Sleep(probePause)
		}
	}
}

// recover demands that every gateway serves again in time, and from then on
// always.
func (b *battle) recover() {
	b.t.Helper()
	began := time.Now()
	for i, g := range b.top.Gateways {
		for {
			err := b.probe(i)
			if ready := b.status(g, "readyz"); err == nil && ready != http.StatusOK {
				err = fmt.Errorf("/readyz answers %d", ready)
			}
			if err == nil {
				break
			}
			if time.Since(began) > recovery {
				b.t.Fatalf("seed %d: gateway %d is not back %s after healing: %v", b.seed, i+1, recovery, err)
			}
			time.Sleep(probePause)
		}
	}
	b.t.Logf("back after %s", time.Since(began).Round(time.Millisecond))
	for i := range b.excused {
		b.excused[i].Store(false)
	}
}

// probe writes, reads and deletes at one gateway.
func (b *battle) probe(gateway int) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), recovery)
	defer cancel()
	c, key := b.clients[gateway], fmt.Sprintf("probe%d", gateway)
	body := "a body that is long enough to be stored"
	_, err := c.Client.PutObject(ctx, bucket, key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{DisableMultipart: true})
	if err != nil {
		return err
	}
	got, _, err := b.read(ctx, c, key)
	if err == nil && string(got) != body {
		b.t.Errorf("seed %d: the probe at gateway %d read %q", b.seed, gateway+1, got)
	}
	if err != nil {
		return err
	}
	return c.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
}

// status is what an operator's endpoint of a gateway answers; 0: nothing.
func (b *battle) status(g *topology.Gateway, path string) int {
	ctx, cancel := context.WithTimeout(b.t.Context(), recovery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Metrics+"/"+path, nil)
	must(b.t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// noPanic demands that nothing in a gateway's log tells of a defect.
func noPanic(t *testing.T, g *topology.Gateway) {
	t.Helper()
	log, err := os.ReadFile(g.Log)
	must(t, err)
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") {
			t.Errorf("%s: %s", g.Log, line)
		}
	}
}

// wantClean reads everything once all gateways have ended.
func wantClean(t *testing.T, top *topology.Topology) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), top.Binary, "fsck", "--deep", "-o", "json")
	cmd.Env = append(top.Env(), "SANCTUM_DATA="+filepath.Join(t.TempDir(), "data"))
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
		return
	}
	var report struct{ Objects, Lost, Leaked int64 }
	if err := json.Unmarshal(out, &report); err != nil || report.Objects == 0 || report.Lost != 0 || report.Leaked != 0 {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}
