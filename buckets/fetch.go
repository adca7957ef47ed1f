package buckets

import (
	"errors"
	"sync"

	"github.com/sanctum-storage/gateway/meta"
)

// fetches are the keys of buckets that are being fetched from the key provider, so that a
// bucket that nobody remembers costs one fetch, however many ask for it at once. A fetch
// that fails is the answer of all who waited for it: a provider that is away is not asked
// once for each of them.
type fetches struct {
	mu sync.Mutex
	of map[meta.ID]*fetch
}

// errFetchBroken is the answer of a fetch that never came to one, as after a panic.
var errFetchBroken = errors.New("the fetch of a bucket's keys ended without an answer")

// fetch is one of them. Its result is read only after done was closed.
type fetch struct {
	done chan struct{}
	keys *keyring
	err  error
}

// join returns the fetch of a bucket. mine: the caller makes it, and calls end.
func (fs *fetches) join(bucket meta.ID) (f *fetch, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.of[bucket]; f != nil {
		return f, false
	}
	f = &fetch{done: make(chan struct{}), err: errFetchBroken}
	fs.of[bucket] = f
	return f, true
}

// end gives the result to all who wait.
func (fs *fetches) end(bucket meta.ID, f *fetch) {
	fs.mu.Lock()
	delete(fs.of, bucket)
	fs.mu.Unlock()
	close(f.done)
}
