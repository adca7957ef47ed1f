//go:build linux

package topology

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	workers = 6
	// stepsAtLeast is what every worker does however soon a disturbance is over.
	stepsAtLeast = 10
	smallObject  = 64 << 10
	partSize     = 5 << 20 // S3's least
	// readTries is how often a body is asked for that was cut off, as any program
	// does that downloads.
	readTries = 4
)

// connect makes a client with minio-go's own retries and a pool of its own.
func connect(t *testing.T, top *Topology, url string) *minio.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(strings.TrimPrefix(url, "http://"), &minio.Options{
		Creds:  credentials.NewStaticV4(top.AccessKey, top.SecretKey, ""),
		Region: Region, BucketLookup: minio.BucketLookupPath, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put writes an object and returns its digest.
func put(ctx context.Context, c *minio.Client, bucket, key string, body []byte) ([sha256.Size]byte, error) {
	_, err := c.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{PartSize: partSize})
	return sha256.Sum256(body), err
}

// digest reads an object whole.
func digest(ctx context.Context, c *minio.Client, bucket, key string) (sum [sha256.Size]byte, err error) {
	for range readTries {
		var o *minio.Object
		if o, err = c.GetObject(ctx, bucket, key, minio.GetObjectOptions{}); err != nil {
			return sum, err
		}
		h := sha256.New()
		_, err = io.Copy(h, o)
		o.Close()
		if err == nil {
			return [sha256.Size]byte(h.Sum(nil)), nil
		}
		if answer := minio.ToErrorResponse(err); answer.Code == minio.NoSuchKey {
			return sum, err
		}
	}
	return sum, err
}

// load writes, overwrites, reads and deletes until it is told to end, and knows
// what must be there then: no two workers share a key.
type load struct {
	client *minio.Client
	bucket string
	seed   uint64

	ended         atomic.Bool
	steps, active atomic.Int64
	wg            sync.WaitGroup

	mu   sync.Mutex
	want map[string][sha256.Size]byte
	errs []error
}

func startLoad(ctx context.Context, c *minio.Client, bucket string, seed uint64) *load {
	l := &load{client: c, bucket: bucket, seed: seed, want: map[string][sha256.Size]byte{}}
	for w := range workers {
		l.active.Add(1)
		l.wg.Go(func() {
			defer l.active.Add(-1)
			l.work(ctx, w)
		})
	}
	return l
}

// end waits for the workers and returns what is to be found, and what went wrong.
func (l *load) end() (map[string][sha256.Size]byte, error) {
	l.ended.Store(true)
	l.wg.Wait()
	return l.want, errors.Join(l.errs...)
}

// pass waits until the workers have done n more steps, or have all given up.
func (l *load) pass(n int64) {
	for end := l.steps.Load() + n; l.steps.Load() < end && l.active.Load() > 0; {
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *load) work(ctx context.Context, w int) {
	r := rand.New(rand.NewPCG(l.seed, uint64(w)))
	mine := map[string][sha256.Size]byte{}
	var err error
	for step := 0; err == nil && ctx.Err() == nil && (step < stepsAtLeast || !l.ended.Load()); step++ {
		if err = l.step(ctx, r, w, mine); err != nil {
			err = fmt.Errorf("worker %d, step %d: %w", w, step, err)
		}
		l.steps.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, sum := range mine {
		l.want[key] = sum
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		l.errs = append(l.errs, err)
	}
}

// step does one thing to one of the worker's keys.
func (l *load) step(ctx context.Context, r *rand.Rand, w int, mine map[string][sha256.Size]byte) error {
	// Few enough keys for overwrites; some of their names a balancer might spoil.
	key := fmt.Sprintf("worker%d//%d/../ü +%%2F", w, r.IntN(12))
	want, exists := mine[key]
	choice := r.IntN(20)
	switch {
	case exists && choice < 6:
		got, err := digest(ctx, l.client, l.bucket, key)
		if err == nil && got != want {
			err = fmt.Errorf("%s has another body than was written", key)
		}
		return err
	case exists && choice < 8:
		delete(mine, key)
		return l.client.RemoveObject(ctx, l.bucket, key, minio.RemoveObjectOptions{})
	}
	size := 1 + r.IntN(smallObject)
	if choice == 19 {
		size += partSize // two parts
	}
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	sum, err := put(ctx, l.client, l.bucket, key, body)
	if err == nil {
		mine[key] = sum
	}
	return err
}

// verify compares what a gateway lists and serves with what must be there.
func verify(ctx context.Context, c *minio.Client, bucket string, want map[string][sha256.Size]byte) error {
	left := map[string]bool{}
	for key := range want {
		left[key] = true
	}
	for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return o.Err
		}
		sum, ok := want[o.Key]
		if !ok {
			return fmt.Errorf("%s is there and should not be", o.Key)
		}
		got, err := digest(ctx, c, bucket, o.Key)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Key, err)
		}
		if got != sum {
			return fmt.Errorf("%s has another body than was acknowledged", o.Key)
		}
		delete(left, o.Key)
	}
	for key := range left {
		return fmt.Errorf("%d objects are lost, %s one of them", len(left), key)
	}
	return nil
}
