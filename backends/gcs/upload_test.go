package gcs

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/backends"
)

// onEOF calls f when r has said io.EOF.
type onEOF struct {
	io.Reader
	f func()
}

func (o onEOF) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if err == io.EOF {
		o.f()
	}
	return n, err
}

// The end of an upload is handed out only after a good end of its body, under a
// context that is alive then: before that no service can take it for whole.
func TestTailIsWithheld(t *testing.T) {
	late := errors.New("digest differs")
	for name, c := range map[string]struct {
		r    func(cancel func()) io.Reader
		want error
	}{
		"good":                {func(func()) io.Reader { return strings.NewReader("body") }, nil},
		"good, data with EOF": {func(func()) io.Reader { return iotest.DataErrReader(strings.NewReader("body")) }, nil},
		"verdict after the last byte": {func(func()) io.Reader {
			return io.MultiReader(strings.NewReader("body"), iotest.ErrReader(late))
		}, late},
		"the client's own end": {func(func()) io.Reader {
			return io.MultiReader(strings.NewReader("body"), iotest.ErrReader(io.ErrUnexpectedEOF))
		}, io.ErrUnexpectedEOF},
		"too long":              {func(func()) io.Reader { return strings.NewReader("body!") }, backends.ErrSize},
		"cancelled at the end":  {func(cancel func()) io.Reader { return onEOF{strings.NewReader("body"), cancel} }, context.Canceled},
		"cancelled, data + EOF": {func(cancel func()) io.Reader { return onEOF{iotest.DataErrReader(strings.NewReader("body")), cancel} }, context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		u := &upload{ctx: ctx, head: []byte("<"), r: backends.Sized(c.r(cancel), 4), tail: []byte(">")}
		got, err := io.ReadAll(u)
		failed, whole := u.stop()
		if !errors.Is(err, c.want) || !errors.Is(failed, c.want) || whole != (c.want == nil) {
			t.Errorf("%s: %v, %v, whole %v; want %v", name, err, failed, whole, c.want)
		}
		if sent := strings.HasSuffix(string(got), ">"); sent != (c.want == nil) {
			t.Errorf("%s: handed out %q", name, got)
		}
		if _, err := u.Read(make([]byte, 1)); !errors.Is(err, errOver) {
			t.Errorf("%s: a Read after stop: %v", name, err)
		}
		cancel()
	}
}
