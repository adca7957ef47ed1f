package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/sanctum-storage/gateway/requestlog"
)

// newLogger writes to w in the configured format: by default text on a terminal
// and JSON in a pipe. level may change later.
func newLogger(w io.Writer, format string, level *slog.LevelVar) *slog.Logger {
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(requestlog.NewTextHandler(w, level))
	}
	return slog.New(requestlog.NewJSONHandler(w, level))
}

// newQueuedLogger is newLogger for a process that must not wait for whoever reads its
// log. The queue is to be closed at the end.
func newQueuedLogger(w io.Writer, format string, level *slog.LevelVar) (*slog.Logger, *logQueue) {
	if format == "auto" && isTerminal(w) {
		format = "text"
	}
	q := newLogQueue(w, func(dropped uint64) []byte {
		var line bytes.Buffer
		newLogger(&line, format, new(slog.LevelVar)).Warn("lines of the log were dropped, for nobody took them", "lines", dropped)
		return line.Bytes()
	})
	return newLogger(q, format, level), q
}

func isTerminal(w any) bool {
	if s, ok := w.(shown); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
