//go:build clients

package clienttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Samples of the two months that are backed up: those of the first take a file that
// vmbackup sends in several parts of 5 MiB.
const (
	vmSeries      = 20
	vmFirstMonth  = 60_000 // samples of each series
	vmSecondMonth = 1_000
	// vmLargest is above all samples, which are whole: it keeps the others less exactly
	// after each merge.
	vmLargest = 1 << 50
)

// vmTimeout is for what a server or a slow backup does by itself, on a busy machine.
const vmTimeout = 2 * time.Minute

// TestVictoriaMetrics backs up a database that runs: whole, then what was added,
// then on the server's side; and restores each into an empty folder.
func TestVictoriaMetrics(t *testing.T) { onEach(t, testVictoriaMetrics) }

func testVictoriaMetrics(t *testing.T, g *gateway) {
	t.Parallel()
	c := &vmTest{g: g, bucket: bucketName(t),
		server:  installed(t, g, servers.VictoriaMetrics),
		backups: installed(t, g, servers.VMBackup),
		restore: installed(t, g, servers.VMRestore),
	}
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	db := c.start(t, filepath.Join(c.server.home, "data"))

	db.write(t, 2024, time.January, vmFirstMonth)
	db.merge(t, "2024_01")
	first := db.answers(t)
	whole := c.backUp(db, "of a/latest")
	if whole.uploaded < 5*mib || whole.copied != 0 {
		t.Errorf("the first backup: %+v", whole)
	}
	c.inParts(t, "of a/latest/")
	c.same(t, "of a/latest", first)

	db.write(t, 2024, time.February, vmSecondMonth)
	second := db.answers(t)
	if second == first {
		t.Fatal("more samples are not seen")
	}
	// The objects that were stored before are copied into another backup, on the server's side.
	if m := c.backUp(db, "by day/02", "-origin", c.url("of a/latest"), "-s3ObjectTags", `{"kept":"a year"}`,
		"-objectMetadata", `{"made-by":"vmbackup"}`, "-s3ChecksumAlgorithm", "SHA256"); m.copied < 5*mib || m.uploaded >= m.copied {
		t.Errorf("a backup with an origin: %+v", m)
	}
	c.labelled(t, "by day/02/")
	if m := c.backUp(db, "of a/latest"); m.uploaded >= whole.uploaded/2 {
		t.Errorf("a second backup: %+v, the first was %+v", m, whole)
	}
	c.copyOf(t, "of a/latest", "by month/2024+02")
	for _, name := range []string{"of a/latest", "by day/02", "by month/2024+02"} {
		c.same(t, name, second)
	}
	again := c.killed(t, db, "killed")
	c.backUp(db, "killed")
	c.same(t, "killed", second)
	c.refused(db)
	// The upload that was under way when it was killed is left for a lifecycle to end.
	noUploadsSince(t, g, c.bucket, again)
}

type vmTest struct {
	g                        *gateway
	bucket                   string
	server, backups, restore *program
	restores                 int
}

func (c *vmTest) url(name string) string { return "s3://" + c.bucket + "/" + name }

// flags are those of vmbackup and vmrestore.
func (c *vmTest) flags(more ...string) []string {
	return append([]string{"-httpListenAddr=", "-customS3Endpoint", c.g.s3}, more...)
}

// vmServer is a VictoriaMetrics that runs.
type vmServer struct {
	*servers.Process
	url, data string
}

// start runs a server over a folder until the test ends.
func (c *vmTest) start(t *testing.T, data string) *vmServer {
	t.Helper()
	addresses, err := servers.FreeAddresses(1)
	must(t, err)
	p, err := servers.Start(servers.Spec{Name: "victoria-metrics", Program: c.server.path, Log: data + ".log", Args: []string{
		"-storageDataPath", data, "-httpListenAddr", addresses[0], "-retentionPeriod", "100y", "-memory.allowedBytes", "128MB",
		"-search.disableCache", "-search.latencyOffset", "0s"}})
	must(t, err)
	t.Cleanup(func() {
		select {
		case <-p.Done():
		default:
			if t.Failed() {
				t.Log(p.Tail())
			}
		}
		p.Kill()
	})
	s := &vmServer{p, "http://" + addresses[0], data}
	must(t, p.Ready(t.Context(), servers.AnswersOK(s.url+"/health")))
	return s
}

// ask demands that the server answers well.
func (s *vmServer) ask(t *testing.T, path string, form url.Values, body io.Reader) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path+"?"+form.Encode(), body)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %s: %s", path, resp.Status, b)
	}
	return b
}

// write adds samples of a month, ten seconds apart.
func (s *vmServer) write(t *testing.T, year int, month time.Month, samples int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed of the samples of %s: %d", month, seed)
	random := rand.New(rand.NewPCG(seed, seed))
	from := time.Date(year, month, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	var lines bytes.Buffer
	for n := range vmSeries {
		fmt.Fprintf(&lines, `{"metric":{"__name__":"sample","n":"%d"},"values":[`, n)
		for i := range samples {
			if i > 0 {
				lines.WriteByte(',')
			}
			lines.Write(strconv.AppendInt(lines.AvailableBuffer(), random.Int64N(vmLargest), 10))
		}
		lines.WriteString(`],"timestamps":[`)
		for i := range samples {
			if i > 0 {
				lines.WriteByte(',')
			}
			lines.Write(strconv.AppendInt(lines.AvailableBuffer(), from+int64(i)*10_000, 10))
		}
		lines.WriteString("]}\n")
	}
	s.ask(t, "/api/v1/import", nil, &lines)
	s.ask(t, "/internal/force_flush", nil, nil)
}

// merge makes one part of all that a month has, so that its samples are one file.
func (s *vmServer) merge(t *testing.T, month string) {
	t.Helper()
	s.ask(t, "/internal/force_merge", url.Values{"partition_prefix": {month}}, nil)
	eventually(t, "the merge of "+month, func() bool {
		log, err := os.ReadFile(s.data + ".log")
		must(t, err)
		return bytes.Contains(log, []byte(`forced merge for partition_prefix="`+month+`" has been successfully finished`))
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(vmTimeout); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s was not there after %s", what, vmTimeout)
		}
	}
}

// answers is a digest of all samples and of what a query makes of them.
func (s *vmServer) answers(t *testing.T) string {
	t.Helper()
	all := strings.Split(string(s.ask(t, "/api/v1/export", url.Values{"match[]": {"sample"}}, nil)), "\n")
	slices.Sort(all)
	sums := s.ask(t, "/api/v1/query_range", url.Values{"query": {"sum by (n) (sum_over_time(sample[1h]))"},
		"start": {"2024-01-01T00:00:00Z"}, "end": {"2024-03-01T00:00:00Z"}, "step": {"6h"}}, nil)
	_, sums, ok := bytes.Cut(sums, []byte(`"result":`))
	result, _, _ := bytes.Cut(sums, []byte(`,"stats"`))
	if !ok || len(all) < vmSeries {
		t.Fatalf("%d series, and a query answers %s", len(all), sums)
	}
	return fmt.Sprintf("%d lines, %x, %x", len(all), sha256.Sum256([]byte(strings.Join(all, "\n"))), sha256.Sum256(result))
}

// moved is what a backup cost, in bytes.
type moved struct{ copied, uploaded int64 }

var vmMoved = regexp.MustCompile(`server-side copied (\d+) bytes(?:; uploaded (\d+) bytes)?`)

// backUp stores a snapshot that it takes itself.
func (c *vmTest) backUp(db *vmServer, name string, more ...string) (m moved) {
	c.backups.t.Helper()
	return c.moved(append([]string{"-storageDataPath", db.data, "-snapshot.createURL", db.url + "/snapshot/create", "-dst", c.url(name)}, more...)...)
}

// moved runs vmbackup and reads what it says that it did.
func (c *vmTest) moved(args ...string) (m moved) {
	c.backups.t.Helper()
	stdout, stderr, err := c.backups.try("", c.flags(args...)...)
	found := vmMoved.FindStringSubmatch(stdout + stderr)
	if err != nil || found == nil {
		c.backups.t.Fatalf("vmbackup %v: %v\n%s%s", args, err, last(stdout), last(stderr))
	}
	m.copied, _ = strconv.ParseInt(found[1], 10, 64)
	m.uploaded, _ = strconv.ParseInt(found[2], 10, 64)
	return m
}

// copyOf makes a backup of a backup, for which no byte passes the client.
func (c *vmTest) copyOf(t *testing.T, from, to string) {
	t.Helper()
	if m := c.moved("-origin", c.url(from), "-dst", c.url(to)); m.copied < 5*mib {
		t.Errorf("a copy of a backup: %+v", m)
	}
	sizes := func(name string) map[string]int64 {
		found := map[string]int64{}
		for key, size := range c.keys(t, name+"/") {
			found[strings.TrimPrefix(key, name)] = size
		}
		return found
	}
	if got, want := sizes(to), sizes(from); !maps.Equal(got, want) {
		t.Errorf("a copy has %v instead of %v", got, want)
	}
}

// keys are those below a prefix, with their sizes.
func (c *vmTest) keys(t *testing.T, prefix string) map[string]int64 {
	t.Helper()
	keys := map[string]int64{}
	for o := range newMinio(t, c.g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		must(t, o.Err)
		keys[o.Key] = o.Size
	}
	return keys
}

// inParts demands that the backup has an object that was sent in parts.
func (c *vmTest) inParts(t *testing.T, prefix string) {
	t.Helper()
	for key := range c.keys(t, prefix) {
		info, err := newMinio(t, c.g).StatObject(t.Context(), c.bucket, key, minio.StatObjectOptions{})
		must(t, err)
		if strings.Contains(info.ETag, "-") {
			return
		}
	}
	t.Errorf("nothing was sent in parts: %v", c.keys(t, prefix))
}

// labelled demands that each part of a database, copied or sent, has the metadata and
// the tag that were asked for.
func (c *vmTest) labelled(t *testing.T, prefix string) {
	t.Helper()
	m, seen := newMinio(t, c.g), 0
	for key := range c.keys(t, prefix) {
		if !strings.Contains(key, "/data/") {
			continue
		}
		seen++
		info, err := m.StatObject(t.Context(), c.bucket, key, minio.StatObjectOptions{})
		must(t, err)
		labels, err := m.GetObjectTagging(t.Context(), c.bucket, key, minio.GetObjectTaggingOptions{})
		must(t, err)
		if info.UserMetadata["Made-By"] != "vmbackup" || labels.ToMap()["kept"] != "a year" {
			t.Errorf("%s has metadata %v and tags %v", key, info.UserMetadata, labels.ToMap())
		}
	}
	if seen == 0 {
		t.Errorf("no data below %s", prefix)
	}
}

// same demands that a backup becomes a database that answers as it should.
func (c *vmTest) same(t *testing.T, name, want string) {
	t.Helper()
	c.restores++
	data := filepath.Join(c.restore.home, fmt.Sprintf("restored-%d", c.restores))
	c.restore.run(c.flags("-src", c.url(name), "-storageDataPath", data)...)
	db := c.start(t, data)
	if got := db.answers(t); got != want {
		t.Errorf("%s answers %s instead of %s", name, got, want)
	}
	must(t, db.Stop())
	must(t, os.RemoveAll(data))
}

// killed begins a backup, kills it between two parts of a file, and demands that it
// passes for none. It returns a time after that.
func (c *vmTest) killed(t *testing.T, db *vmServer, name string) time.Time {
	t.Helper()
	p, err := servers.Start(servers.Spec{Name: "vmbackup", Program: c.backups.path, Env: c.backups.env, Log: filepath.Join(c.backups.home, "killed.log"),
		Args: c.flags("-storageDataPath", db.data, "-snapshot.createURL", db.url+"/snapshot/create", "-dst", c.url(name), "-maxBytesPerSecond", "1MB")})
	must(t, err)
	defer p.Kill()
	eventually(t, "an upload of vmbackup", func() bool {
		uploads, err := newMinio(t, c.g).ListMultipartUploads(t.Context(), c.bucket, name+"/", "", "", "", 1)
		must(t, err)
		return len(uploads.Uploads) > 0
	})
	if p.Kill(); p.Err() == nil {
		t.Fatalf("vmbackup ended before it was killed: %s", p.Tail())
	}
	c.restore.fails("cannot find backup_complete.ignore", c.flags("-src", c.url(name), "-storageDataPath", filepath.Join(c.restore.home, "none"))...)
	return time.Now()
}

// refused has no right to the bucket.
func (c *vmTest) refused(db *vmServer) {
	p := *c.backups
	p.env = append(slices.Clone(p.env), "AWS_SECRET_ACCESS_KEY=another")
	p.fails("SignatureDoesNotMatch", c.flags("-storageDataPath", db.data, "-snapshot.createURL", db.url+"/snapshot/create", "-dst", c.url("refused"))...)
}
