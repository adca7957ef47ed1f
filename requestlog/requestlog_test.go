package requestlog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
)

// draw generates values of lines.
type draw struct{ *rand.Rand }

func (d draw) pick(of ...string) string { return of[d.IntN(len(of))] }

// text is any text that may be in a field.
func (d draw) text() string {
	return d.pick("", "", "plain", "with spaces", "a=b", `"quoted"`, `back\slash`, "line\nbreak", "\x1b[31m", "größe",
		"\xff\xfe", "\u2028", "<html>&", strings.Repeat("x", 2*MaxText), "~", "\x7f")
}

func (d draw) line() *Line {
	l := &Line{
		ID: d.text(), API: d.text(), Action: d.text(), Method: d.text(), Bucket: d.text(), KeyHash: d.text(), KeysOpened: d.text(), KeysSealed: d.text(), Resource: d.text(), Unproven: d.IntN(4) == 0,
		AccessKey: d.text(), Signature: d.text(), Subject: d.text(), Session: d.text(), Source: d.text(), Remote: d.text(), Agent: d.text(),
		Decision: d.text(), Reason: d.text(), Status: d.IntN(600), Cut: d.IntN(2) == 0, Code: d.text(), BytesIn: d.Int64N(5) - 1, BytesOut: d.Int64(),
		Took: time.Duration(d.Int64N(1 << d.IntN(60))),
	}
	if d.IntN(3) > 0 {
		l.Principal = &access.Principal{Kind: access.Session, Account: "123456789012", Name: d.text(), SessionName: d.text()}
		if d.IntN(2) == 0 {
			l.Principal.Issued = time.Unix(d.Int64N(1<<32), 0)
		}
	}
	if d.IntN(4) == 0 {
		l.Err = errors.New(d.text())
	}
	if d.IntN(4) == 0 {
		l.More = []slog.Attr{slog.String("damage", d.text()), slog.Int("number", d.IntN(9))}[:1+d.IntN(2)]
	}
	return l
}

// common is a usual line: nothing in it is escaped.
func common() *Line {
	return &Line{
		ID: "9F0C6A1D2B3E4F50", API: S3, Action: "s3:HeadObject", Method: "HEAD", Bucket: "photos", KeyHash: "5b0c9f3e1a7d2c4b6e8f0a1b",
		Principal: &access.Principal{Kind: access.User, Account: "123456789012", Name: "ann"}, AccessKey: "SG7XYJAJP5T5DBGR00", Signature: "SigV4",
		Source: "192.0.2.7", Remote: "10.0.0.3:51234", Agent: "aws-sdk-go-v2/1.41.0 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/s3#1.94.0",
		Decision: Allow, Reason: "a policy of the identity allows it", Status: 200, BytesOut: 243, Took: 412345 * time.Nanosecond,
	}
}

// Lines equal those of slog's own handlers, whatever their content.
func TestLinesAreThoseOfSlog(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	d := draw{rand.New(rand.NewPCG(seed, 0))}
	var fast, slow bytes.Buffer
	for name, handlers := range map[string][2]slog.Handler{
		"json": {NewJSONHandler(&fast, slog.LevelInfo), slog.NewJSONHandler(&slow, nil)},
		"text": {NewTextHandler(&fast, slog.LevelInfo), slog.NewTextHandler(&slow, nil)},
	} {
		for i := range 20_000 {
			l := common()
			if i%4 > 0 {
				l = d.line()
			}
			now := time.Unix(d.Int64N(1<<33), d.Int64N(1e9)).In(time.FixedZone("", 900*(d.IntN(100)-50)))
			fast.Reset()
			slow.Reset()
			l.writeAt(context.Background(), now, handlers[0])
			l.writeAt(context.Background(), now, handlers[1])
			if fast.String() != slow.String() {
				t.Fatalf("%s: a line is\n%s\nslog has\n%s", name, &fast, &slow)
			}
		}
	}
}

// A line below the level is not written, in either way.
func TestLevel(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(NewJSONHandler(&out, slog.LevelWarn))
	common().Write(t.Context(), log)
	if out.Len() > 0 {
		t.Errorf("%s", &out)
	}
	l := common()
	l.Err = errors.New("failed")
	l.Write(t.Context(), log)
	if !strings.Contains(out.String(), `"level":"ERROR"`) || !strings.HasSuffix(out.String(), `"error":"failed"}`+"\n") {
		t.Errorf("%s", &out)
	}
}

// A logger with attributes of its own has them in the lines of requests.
func TestAttributesOfTheLogger(t *testing.T) {
	var out bytes.Buffer
	common().Write(t.Context(), slog.New(NewJSONHandler(&out, slog.LevelInfo)).With("gateway", "one"))
	if !strings.Contains(out.String(), `"msg":"request","gateway":"one","request_id":"9F0C6A1D2B3E4F50"`) {
		t.Errorf("%s", &out)
	}
}

// A usual line allocates no memory.
func TestLineAllocates(t *testing.T) {
	var out nothing
	for name, h := range map[string]slog.Handler{"json": NewJSONHandler(out, slog.LevelInfo), "text": NewTextHandler(out, slog.LevelInfo)} {
		l, log := common(), slog.New(h)
		if n := testing.AllocsPerRun(1000, func() { l.Write(t.Context(), log) }); n > 1 {
			t.Errorf("%s: %v allocations, beside the principal's name", name, n-1)
		}
	}
}

type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkLine measures one usual line, beside slog's.
func BenchmarkLine(b *testing.B) {
	var out nothing
	for _, c := range []struct {
		name string
		h    slog.Handler
	}{
		{"json", NewJSONHandler(out, slog.LevelInfo)}, {"json by slog", slog.NewJSONHandler(out, nil)},
		{"text", NewTextHandler(out, slog.LevelInfo)}, {"text by slog", slog.NewTextHandler(out, nil)},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, log := common(), slog.New(c.h)
			b.ReportAllocs()
			for b.Loop() {
				l.Write(context.Background(), log)
			}
		})
	}
}
