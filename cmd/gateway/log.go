package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/sanctum-storage/gateway/requestlog"
)

// newLogger writes to w in the configured format: with auto, text to a terminal
// and JSON elsewhere. level may change later.
func newLogger(w io.Writer, format string, level *slog.LevelVar) *slog.Logger {
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(requestlog.NewTextHandler(w, level))
	}
	return slog.New(requestlog.NewJSONHandler(w, level))
}

// newQueuedLogger is newLogger for serve, which must not wait for the reader of
// its log. The caller closes the queue at the end.
func newQueuedLogger(w io.Writer, format string, level *slog.LevelVar) (*slog.Logger, *logQueue) {
	if format == "auto" && isTerminal(w) {
		format = "text"
	}
	q := newLogQueue(w, func(dropped uint64) []byte {
		var line bytes.Buffer
		newLogger(&line, format, new(slog.LevelVar)).Warn("lines of the log were dropped because its reader is too slow", "lines", dropped)
		return line.Bytes()
	})
	return newLogger(q, format, level), q
}

// isTerminal reports whether an output is a terminal, also behind shown.
func isTerminal(w any) bool {
	if s, ok := w.(shown); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
