package encrypt

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
)

// An HTTP transport may still read a body that its caller has closed. Such a
// reader gets an error, never bytes of a buffer that another stream has by now.
func TestCloseWhileRead(t *testing.T) {
	for range 50 {
		r, err := NewSealReader(SegmentsOf(bytes.NewReader(pattern(300_000))), NewDataKey(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			p := make([]byte, 1000)
			for {
				if _, err := r.Read(p); err != nil {
					if err != io.EOF && !errors.Is(err, errClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
		r.Close()
		wg.Wait()
	}
}

// One opener serves any number of readers at once.
func TestOpenerIsShared(t *testing.T) {
	key, plain := NewDataKey(), pattern(200_000)
	sealed, seal := sealBlob(t, blobSuite, key, nil, plain)
	o, err := NewOpener(key, nil, seal, int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			off := int64(i * 20_000)
			got, err := readRange(o, sealed, off, 40_000)
			if err != nil || !bytes.Equal(got, plain[off:off+40_000]) {
				t.Errorf("reader %d: %v", i, err)
			}
			if all, err := o.OpenAll(nil, sealed); err != nil || !bytes.Equal(all, plain) {
				t.Errorf("OpenAll %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}
