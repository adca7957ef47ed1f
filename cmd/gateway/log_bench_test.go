package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// BenchmarkHead is a signed HEAD of an object without the network, with a line
// of the log written to a file for each, and without.
func BenchmarkHead(b *testing.B) {
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelInfo} {
		b.Run(level.String(), func(b *testing.B) {
			out, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer out.Close()
			var from slog.LevelVar
			from.Set(level)
			log, q := newQueuedLogger(out, "json", &from)
			g := gatewaytest.Start(b, gatewaytest.Options{Log: log})
			g.Must(b, http.StatusOK, "PUT", "/bucket", nil)
			g.Must(b, http.StatusOK, "PUT", "/bucket/key", []byte("text"))
			r := g.Request(b, "HEAD", "/bucket/key", nil)
			g.Sign(b, r, g.Root, nil)
			r.RequestURI, r.RemoteAddr = "/bucket/key", "127.0.0.1:51234"
			r.Header.Set("User-Agent", "aws-sdk-go-v2/1.41.0 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/s3#1.94.0")
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				w := httptest.NewRecorder()
				if g.API.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			if !q.close(startWait) || q.dropped() > 0 {
				b.Errorf("%d lines were dropped", q.dropped())
			}
		})
	}
}

// processorTime is the processor time that the process has used. Other load on
// the machine changes it less than the elapsed time.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
