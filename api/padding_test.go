package api_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
)

// Whatever way an object is written, its client sees it as it is, and the folder has a blob of
// its size class.
func TestPadding(t *testing.T) {
	sizes := []int{0, 1, 4095, 4096, 4097, 4352, 4353, 65535, 65536, 65537, 67584, 67585, 131071, 131072, 131073, 1<<20 - 1, 1 << 20, 1<<20 + 1,
		5<<20 - 1, 5 << 20, 5<<20 + 1}
	for _, road := range slices.Sorted(maps.Keys(paddedRoads)) {
		t.Run(road, func(t *testing.T) {
			w := newPaddedWorld(t)
			total, seen := int64(0), map[int64]bool{}
			for _, n := range sizes {
				// An empty range cannot be asked for.
				if n == 0 && road == "part of a range" {
					continue
				}
				body, key := bytesOf(n), fmt.Sprint(n)
				if before := paddedRoads[road].before; before != nil {
					before(w, body)
				}
				made := w.made(func() { paddedRoads[road].write(w, key, body) })
				w.wantObject("/padded/"+key, body)
				total += int64(n)
				switch class := encrypt.PaddedSize(int64(n)); {
				case n == 0 && len(made) == 0:
				case class == int64(n) && paddedRoads[road].shares && len(made) == 0: // the source's blob is of a class as it is
				case len(made) != 1:
					t.Fatalf("%d bytes: blobs of %d bytes", n, made)
				case road == "form" && n+formSlack > encrypt.SegmentSize:
					// Only the length of the whole form is known before.
					plain, err := encrypt.PlainSize(made[0])
					if err != nil || plain < class || plain > encrypt.PaddedSize(int64(n+formSlack)) || plain != encrypt.PaddedSize(plain) {
						t.Errorf("%d bytes: a blob of %d", n, plain)
					}
				case made[0] != encrypt.SealedSize(class):
					t.Errorf("%d bytes: a blob of %d, want %d", n, made[0], encrypt.SealedSize(class))
				default:
					seen[made[0]] = true
				}
			}
			if road != "form" && len(seen) != 12 {
				t.Errorf("the lengths are of %d classes, and there are 12", len(seen))
			}
			if u, err := w.Engine.Buckets().Usage(t.Context(), w.bucket("padded")); err != nil || u.Bytes != total {
				t.Errorf("the usage is %+v of %d bytes, %v", u, total, err)
			}
			list := w.Must(t, 200, "GET", "/padded?list-type=2", nil)
			for _, n := range sizes {
				if line := fmt.Sprintf("<Size>%d</Size>", n); !bytes.Contains(list.Body, []byte(line)) && !(n == 0 && road == "part of a range") {
					t.Errorf("the listing has no %s: %s", line, list.Body)
				}
			}
			liveBlobs(t, w.Gateway)
			w.wantSound()
		})
	}
}

// formSlack is more than a form of these tests has beside its file, and what the gateway has read
// of the file already.
const formSlack = 20_000

// Copies share padded blobs with any bucket, and blobs without padding with none that pads. Blobs
// stay as they are until they are written again.
func TestPaddingOfCopies(t *testing.T) {
	w := newPaddedWorld(t)
	body := bytesOf(100_000)
	copies := func(from, to string, want ...int64) {
		t.Helper()
		made := w.made(func() {
			w.Must(t, 200, "PUT", to, nil, "x-amz-copy-source", from, "x-amz-metadata-directive", "REPLACE")
		})
		if !slices.Equal(made, want) {
			t.Errorf("from %s to %s: blobs of %d bytes, want %d", from, to, made, want)
		}
		w.wantObject(to, body)
	}
	exact, class := encrypt.SealedSize(100_000), encrypt.SealedSize(encrypt.PaddedSize(100_000))
	put := func(target string, want int64) {
		t.Helper()
		if made := w.made(func() { w.Must(t, 200, "PUT", target, body) }); !slices.Equal(made, []int64{want}) {
			t.Errorf("%s: blobs of %d bytes, want %d", target, made, want)
		}
	}
	put("/padded/a", class)
	put("/plain/a", exact)
	copies("/padded/a", "/padded/b")
	copies("/padded/a", "/plain/b")
	copies("/plain/b", "/padded/c")
	copies("/plain/a", "/plain/c")
	copies("/plain/a", "/padded/d", class)
	w.pad("plain", buckets.PaddingPadme)
	if made := w.made(func() { w.wantObject("/plain/a", body) }); made != nil {
		t.Errorf("a read made blobs of %d bytes", made)
	}
	copies("/plain/a", "/plain/a", class)
	w.pad("plain", buckets.PaddingNone)
	put("/plain/d", exact)
	liveBlobs(t, w.Gateway)
	w.wantSound()
}

// A padding that was taken out of the store, or that only a later release knows, keeps bodies from
// being written, and nothing reaches the folder. Setting it again mends it.
func TestPaddingFailsClosed(t *testing.T) {
	for name, spoil := range map[string]func(w *paddedWorld){
		"removed":  func(w *paddedWorld) { w.EditSetting(t, "padded", buckets.PaddingSetting, nil) },
		"unsealed": func(w *paddedWorld) { w.EditSetting(t, "padded", buckets.PaddingSetting, []byte("none")) },
		"unknown": func(w *paddedWorld) {
			if err := w.Engine.Buckets().SetSetting(t.Context(), w.bucket("padded"), buckets.PaddingSetting, []byte("later")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPaddedWorld(t)
			w.Must(t, 200, "PUT", "/padded/k", []byte("before"))
			spoil(w)
			made := w.made(func() {
				if res := w.Do(t, w.Root, "PUT", "/padded/k", bytesOf(10)); res.Status < 400 {
					t.Errorf("PUT: %d", res.Status)
				}
				// Access refuses the bucket already where a setting is damaged. The engine does
				// so by itself.
				b := w.bucket("padded")
				if _, err := w.Engine.PutObject(t.Context(), engine.PutObject{Bucket: b, Key: "k", Owner: b.Owner,
					Body: engine.Body{Reader: bytes.NewReader(bytesOf(10)), Size: 10}}); err == nil {
					t.Error("the engine writes to it")
				}
			})
			if made != nil {
				t.Errorf("the folder has new blobs of %d bytes", made)
			}
			w.pad("padded", buckets.PaddingPadme)
			w.Must(t, 200, "PUT", "/padded/k", bytesOf(10))
		})
	}
}

// Nothing is allocated to learn that a bucket does not pad.
func TestNoPaddingCostsNothing(t *testing.T) {
	w := newPaddedWorld(t)
	b, ctx := w.bucket("plain"), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if p, err := w.Engine.Buckets().Padding(ctx, b); err != nil || p != buckets.PaddingNone {
			t.Fatal(p, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for _, n := range []int{1, 4095, 65536, 65537, 100_000} {
		if made := w.made(func() { w.Must(t, 200, "PUT", fmt.Sprint("/plain/", n), bytesOf(n)) }); !slices.Equal(made, []int64{encrypt.SealedSize(int64(n))}) {
			t.Errorf("%d bytes: blobs of %d", n, made)
		}
	}
}
