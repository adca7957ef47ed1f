package inventory_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/enginetest"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/weakhash"
)

// inventoryRig has the inventories of a rig's engine, and a bucket that takes lists.
type inventoryRig struct {
	*enginetest.Clocked
	to     meta.Bucket
	permit func(context.Context, inventory.Delivery) error
	of     *engine.Engine
	steps  *inventory.Steps
}

func newInventoryRig(t *testing.T, v meta.Versioning) *inventoryRig {
	t.Helper()
	c := enginetest.NewClocked(t, v)
	return &inventoryRig{Clocked: c, to: c.CreateBucket("lists", ""), permit: anything}
}

// anything may be delivered.
func anything(context.Context, inventory.Delivery) error { return nil }

// step takes one step, with an engine that was opened meanwhile as a new process would.
func (i *inventoryRig) step() (inventory.Report, error) {
	i.T.Helper()
	if i.of != i.E {
		i.of, i.steps = i.E, inventory.New(inventory.Config{
			Engine: i.E, Store: i.Config.Store, Now: i.Config.Now,
			Permit: func(ctx context.Context, d inventory.Delivery) error { return i.permit(ctx, d) },
		})
	}
	return i.steps.Step(i.T.Context())
}

// configure gives the bucket a configuration. change is JSON that is added.
func (i *inventoryRig) configure(id, change string) {
	i.T.Helper()
	doc := fmt.Sprintf(`{"id":%q,"enabled":true,"versions":false,"weekly":false,"target":"lists","target_id":%q,"target_prefix":"inv","format":"CSV"%s}`, id, i.to.ID.String(), change)
	if err := i.E.Buckets().SetSetting(i.T.Context(), i.B, inventory.Setting+id, []byte(doc)); err != nil {
		i.T.Fatal(err)
	}
	i.Reread()
}

// write takes steps until nothing is left to do.
func (i *inventoryRig) write() (lists, rows int) {
	i.T.Helper()
	for range 1000 {
		r, err := i.step()
		if err != nil {
			i.T.Fatal(err)
		}
		if lists, rows = lists+r.Lists, rows+r.Rows; !r.More {
			return lists, rows
		}
	}
	i.T.Fatal("the inventory never ends")
	return
}

// read reads an object of the target.
func (i *inventoryRig) read(key string) []byte {
	i.T.Helper()
	from := i.B
	defer func() { i.B = from }()
	i.B = i.to
	data, err := i.Get(key)
	if err != nil {
		i.T.Fatalf("get %q: %v", key, err)
	}
	return data
}

// list reads the list of a day by its manifest: the schema and the rows.
func (i *inventoryRig) list(id, day string) (schema string, rows [][]string) {
	i.T.Helper()
	folder := "inv/first-bucket/" + id + "/"
	manifest := i.read(folder + day + "/manifest.json")
	if sum := weakhash.MD5(manifest); string(i.read(folder+day+"/manifest.checksum")) != hex.EncodeToString(sum[:]) {
		i.T.Error("the manifest's checksum is another")
	}
	var m struct {
		SourceBucket, DestinationBucket, Version, CreationTimestamp, FileFormat, FileSchema string
		Files                                                                               []struct {
			Key         string
			Size        int
			MD5checksum string
		}
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		i.T.Fatal(err)
	}
	if m.SourceBucket != "first-bucket" || m.DestinationBucket != "arn:aws:s3:::lists" || m.Version != "2016-11-30" || m.FileFormat != "CSV" || m.Files == nil {
		i.T.Errorf("manifest %s", manifest)
	}
	var links []string
	for _, f := range m.Files {
		data := i.read(f.Key)
		if sum := weakhash.MD5(data); len(data) != f.Size || hex.EncodeToString(sum[:]) != f.MD5checksum || !strings.HasPrefix(f.Key, folder+"data/") {
			i.T.Errorf("data file %+v has %d bytes", f, len(data))
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			i.T.Fatal(err)
		}
		lines, err := csv.NewReader(z).ReadAll()
		if err != nil {
			i.T.Fatal(err)
		}
		rows, links = append(rows, lines...), append(links, "s3://lists/"+f.Key)
	}
	hive := folder + "hive/dt=" + strings.NewReplacer("T", "-", "Z", "").Replace(day) + "/symlink.txt"
	if got := string(i.read(hive)); got != strings.Join(links, "\n") {
		i.T.Errorf("symlink.txt is %q", got)
	}
	return m.FileSchema, rows
}

func TestInventoryCurrent(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningEnabled)
	o := i.MustPut("a \"b\",c", enginetest.Body(1, 10))
	i.MustPut("k", enginetest.Body(1, 5))
	i.MustPut("k", enginetest.Body(1, 6))
	i.MustPut("deleted", nil)
	i.Delete("deleted")
	i.Rules(`{"id":"r","enabled":true,"filter":{"prefix":"k"},"expiration":{"days":9}}`)
	i.configure("daily", `,"fields":["ETag","Size","StorageClass","EncryptionStatus","LifecycleExpirationDate","IsMultipartUploaded"]`)
	if lists, _ := i.write(); lists != 1 {
		t.Fatalf("%d lists", lists)
	}
	schema, rows := i.list("daily", "2030-01-15T00-00Z")
	if schema != "Bucket, Key, Size, ETag, StorageClass, IsMultipartUploaded, EncryptionStatus, LifecycleExpirationDate" {
		t.Errorf("schema %s", schema)
	}
	if len(rows) != 2 {
		t.Fatalf("%q", rows)
	}
	if key, err := url.QueryUnescape(rows[0][1]); err != nil || key != "a \"b\",c" {
		t.Errorf("key %q, %v", key, err)
	}
	if got := strings.Join(rows[0][2:], "|"); got != "10|"+o.ETag+"|STANDARD|false|SSE-S3|" {
		t.Errorf("%s", got)
	}
	if got := rows[1]; got[1] != "k" || got[2] != "6" || got[7] != "2030-01-25T00:00:00.000Z" {
		t.Errorf("%q", got)
	}
	// A clock that was years ahead for a while keeps none from being written.
	i.Now = i.Now.AddDate(50, 0, 0)
	i.write()
	i.Now = i.Now.AddDate(-50, 0, 1)
	if lists, _ := i.write(); lists != 1 {
		t.Errorf("%d lists on the day after a clock was wrong", lists)
	}
	// It is written once a day, even by several processes.
	for range 2 {
		if lists, rows := i.write(); lists+rows != 0 {
			t.Errorf("again on the same day: %d lists, %d rows", lists, rows)
		}
		i.Reopen()
	}
	i.Now = i.Now.Add(enginetest.Day)
	if lists, _ := i.write(); lists != 1 {
		t.Errorf("the next day: %d lists", lists)
	}
	i.list("daily", "2030-01-16T00-00Z")
}

func TestInventoryOfVersionsWeekly(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningEnabled)
	for n := range 1500 {
		i.MustPut(fmt.Sprintf("k/%04d", n), nil)
	}
	i.MustPut("k/0000", enginetest.Body(1, 7))
	i.Delete("k/0001")
	i.MustPut("other", nil)
	i.configure("weekly", `,"versions":true,"weekly":true,"prefix":"k/","fields":["Size","ObjectOwner"]`)
	if lists, rows := i.write(); lists != 1 || rows != 1502 {
		t.Errorf("%d lists of %d rows", lists, rows)
	}
	_, rows := i.list("weekly", "2030-01-13T00-00Z") // a Sunday
	if len(rows) != 1502 {
		t.Fatalf("%d rows", len(rows))
	}
	for n, want := range []string{"k/0000 true false 7", "k/0000 false false 0", "k/0001 true true ", "k/0001 false false 0"} {
		r := rows[n]
		if got := strings.Join([]string{r[1], r[3], r[4], r[5]}, " "); got != want || r[2] == "" || r[4] == "false" && r[6] != i.B.Owner.Canonical() {
			t.Errorf("row %d is %q, want %s", n, r, want)
		}
	}
	i.Now = time.Date(2030, 1, 19, 23, 0, 0, 0, time.UTC)
	if lists, _ := i.write(); lists != 0 {
		t.Error("a list on Saturday")
	}
	i.Now = i.Now.Add(2 * time.Hour)
	if lists, _ := i.write(); lists != 1 {
		t.Error("no list on Sunday")
	}
}

// Nothing is written for a configuration that is off, nor to a bucket that is not
// the one that was meant.
func TestInventoryToNobody(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningOff)
	i.MustPut("k", nil)
	i.configure("off", "")
	doc := fmt.Sprintf(`{"id":"off","enabled":false,"versions":false,"weekly":false,"target":"lists","target_id":%q,"format":"CSV"}`, i.to.ID.String())
	if err := i.E.Buckets().SetSetting(t.Context(), i.B, inventory.Setting+"off", []byte(doc)); err != nil {
		t.Fatal(err)
	}
	if lists, rows := i.write(); lists+rows != 0 {
		t.Errorf("%d lists of %d rows", lists, rows)
	}
	i.Reread()
	if err := i.E.Buckets().Delete(t.Context(), i.to); err != nil {
		t.Fatal(err)
	}
	i.to = i.CreateBucket("lists", "")
	stale := i.to
	stale.ID = meta.NewID()
	i.to = stale
	i.configure("gone", "")
	failed := 0
	for range 10 {
		if _, err := i.step(); err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d steps failed, want 1", failed)
	}
}

// A bucket with many lists leaves turns to other tenants, and to other buckets of its own
// tenant. Each list is written once.
func TestInventoryTurns(t *testing.T) {
	i := newInventoryRig(t, meta.VersioningOff)
	other, err := i.E.Accounts().CreateTenant(t.Context(), "other", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	bucket := func(owner meta.ID, name string) meta.Bucket {
		t.Helper()
		b, err := i.E.Buckets().Create(t.Context(), name, "", owner)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	configure := func(b, to meta.Bucket, id string) {
		t.Helper()
		doc := fmt.Sprintf(`{"id":%q,"enabled":true,"versions":false,"weekly":false,"target":%q,"target_id":%q,"format":"CSV"}`, id, to.Name, to.ID.String())
		if err := i.E.Buckets().SetSetting(t.Context(), b, inventory.Setting+id, []byte(doc)); err != nil {
			t.Fatal(err)
		}
	}
	const many = 7
	greedy, second := bucket(i.to.Owner, "aaa-greedy"), bucket(i.to.Owner, "bbb-second")
	for n := range many {
		configure(greedy, i.to, fmt.Sprint("list", n))
	}
	configure(second, i.to, "one")
	theirs, lists := bucket(other.Tenant.ID, "zzz-theirs"), bucket(other.Tenant.ID, "zzz-lists")
	configure(theirs, lists, "one")
	configure(theirs, lists, "two")
	var order []string
	for range 1000 {
		r, err := i.step()
		if err != nil {
			t.Fatal(err)
		}
		if r.Lists > 0 {
			order = append(order, inventory.LastWritten(i.steps))
		}
		if !r.More {
			break
		}
	}
	want := "aaa-greedy zzz-theirs bbb-second zzz-theirs" + strings.Repeat(" aaa-greedy", many-1)
	if got := strings.Join(order, " "); got != want {
		t.Errorf("lists were written in the order\n%s, want\n%s", got, want)
	}
	if r, err := i.step(); err != nil || r.Lists > 0 || r.Rows > 0 {
		t.Errorf("when all is written: %+v %v", r, err)
	}
}

// Every call of the store and of the backend fails in turn, and in the end the
// list is there, whole.
func TestInventoryEveryCallFails(t *testing.T) {
	for part, planned := range map[string]func(*enginetest.Rig, uint64) *faults.Plan{"store": (*enginetest.Rig).PlannedStore, "backend": (*enginetest.Rig).PlannedBackend} {
		for n := 1; ; n++ {
			i := newInventoryRig(t, meta.VersioningOff)
			i.MustPut("a", enginetest.Body(1, 10))
			i.MustPut("b", enginetest.Body(1, 10))
			i.configure("c", "")
			plan := planned(i.Rig, uint64(n))
			plan.Add(faults.Rule{When: faults.Before, N: n})
			for range 30 {
				i.step()
			}
			fired := plan.Fired()
			plan.Clear()
			i.Now = i.Now.Add(2 * time.Hour)
			i.write()
			_, rows := i.list("c", "2030-01-15T00-00Z")
			if keys := fmt.Sprint(rows); keys != "[[first-bucket a] [first-bucket b]]" {
				t.Fatalf("%s call %d failed: %s", part, n, keys)
			}
			i.WantClean(-1)
			i.E.Close()
			if fired == 0 {
				if n < 4 {
					t.Fatalf("only %d calls of the %s were swept", n, part)
				}
				break
			}
		}
	}
}

// TestInventoryTooLate puts an object under the name of each that ends a list, just
// before the list writes it: it stays.
func TestInventoryTooLate(t *testing.T) {
	for n, name := range []string{"hive/dt=%s-00-00/symlink.txt", "%sT00-00Z/manifest.json", "%sT00-00Z/manifest.checksum"} {
		i := newInventoryRig(t, meta.VersioningOff)
		i.MustPut("k", enginetest.Body(1, 5))
		i.configure("i", "")
		plan := faults.NewPlan(1)
		i.Config.Store = faults.Store(i.Store, plan)
		i.E.Close()
		i.Reopen()
		key := "inv/first-bucket/i/" + fmt.Sprintf(name, i.Now.Format("2006-01-02"))
		theirs := enginetest.Body(9, 30)
		plan.Add(faults.Rule{Op: "CommitObject", N: n + 2, Hook: func() { // the first is a data file
			plan.Clear()
			from := i.B
			i.B = i.to
			i.MustPut(key, theirs)
			i.B = from
		}})
		failed := false
		for range 20 {
			r, err := i.step()
			if failed = failed || err != nil; !r.More {
				break
			}
		}
		if !failed || !bytes.Equal(i.read(key), theirs) {
			t.Errorf("%s: failed is %v, and it holds %d bytes", key, failed, len(i.read(key)))
		}
	}
}
