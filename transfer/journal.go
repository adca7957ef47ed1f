package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// syncLines is how many lines of a journal may be lost to a crash of the
	// machine; they only cost work.
	syncLines = 64
	// maxLine bounds a line: a key of which each byte may be escaped.
	maxLine = 16 << 10
)

// journalLine is one line of the file. The first has For; each other is a proof,
// the begin or the end of an upload, whichever fields are set.
type journalLine struct {
	For        string    `json:"for,omitempty"` // source and target
	Key        string    `json:"key,omitempty"`
	ETag       string    `json:"etag,omitempty"` // at the source
	Size       int64     `json:"size,omitempty"`
	Modified   time.Time `json:"modified,omitzero"`
	TargetETag string    `json:"target_etag,omitempty"`
	Read       bool      `json:"read,omitempty"`   // its bytes were read back and compared
	Upload     string    `json:"upload,omitempty"` // began, for Key at the target
	Ended      string    `json:"ended,omitempty"`  // an Upload
}

// fact is a digest of what was proven: some forty bytes of memory for each line.
type fact [16]byte

func factOf(key, etag string, size int64, targetETag string, read bool) (f fact) {
	text := fmt.Sprintf("%q %q %d %q %t", key, etag, size, targetETag, read)
	sum := sha256.Sum256([]byte(text))
	copy(f[:], sum[:])
	return f
}

// journal remembers across runs. A nil journal remembers nothing. Its methods
// may be called from several goroutines.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	facts map[fact]struct{} // as the file was when it was opened
	open  map[string]string // uploads without an end then, and their keys
	dirty int
}

// journalError is a journal that cannot be written: the run must not go on as if
// it would be remembered.
type journalError struct{ error }

func (e journalError) Unwrap() error { return e.error }

// openJournal opens or makes the file and takes it for this process alone. A
// last line that was torn by a crash is cut off. The journal of another purpose
// is refused, for it would claim what is not so, and so is whatever is no
// journal: it stays as it is.
func openJournal(path, purpose string) (*journal, error) {
	f, err := plainfile.OpenWritten(path, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, facts: map[fact]struct{}{}, open: map[string]string{}}
	if err := j.load(purpose); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

func (j *journal) load(purpose string) error {
	if err := lockFile(j.file); err != nil {
		return err
	}
	in := bufio.NewReaderSize(j.file, maxLine)
	first, err := lineOf(journalLine{For: purpose})
	if err != nil {
		return err
	}
	var whole int64
	for number := 1; ; number++ {
		text, err := in.ReadSlice('\n')
		if err == io.EOF && number == 1 && !bytes.HasPrefix(first, text) {
			return errors.New("it is no journal, and is left as it is")
		}
		if err == io.EOF {
			break // what is left has no end: it was never wholly written
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		var line journalLine
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			return fmt.Errorf("line %d is none of a journal, and the file is left as it is: %w", number, err)
		}
		switch {
		case number == 1 && line.For == "":
			return errors.New("it is no journal, and is left as it is")
		case number == 1 && line.For != purpose:
			return fmt.Errorf("it belongs to another copy: %s", line.For)
		}
		j.learn(line)
		whole += int64(len(text))
	}
	if err := j.file.Truncate(whole); err != nil {
		return err
	}
	if _, err := j.file.Seek(whole, io.SeekStart); err != nil || whole > 0 {
		return err
	}
	return j.append(journalLine{For: purpose})
}

func (j *journal) learn(line journalLine) {
	switch {
	case line.For != "":
	case line.Ended != "":
		delete(j.open, line.Ended)
	case line.Upload != "":
		j.open[line.Upload] = line.Key
	default:
		j.facts[factOf(line.Key, line.ETag, line.Size, line.TargetETag, line.Read)] = struct{}{}
	}
}

// knows reports whether an earlier run proved that what the target has is what
// the source has, and whether by reading it back.
func (j *journal) knows(t *task) (known, read bool) {
	if j == nil {
		return false, false
	}
	_, read = j.facts[factOf(t.key, t.etag, t.size, t.at.etag, true)]
	_, known = j.facts[factOf(t.key, t.etag, t.size, t.at.etag, false)]
	return known || read, read
}

func (j *journal) proven(t *task, targetETag string, read bool) error {
	return j.append(journalLine{Key: t.key, ETag: t.etag, Size: t.size, Modified: t.modified, TargetETag: targetETag, Read: read})
}

func (j *journal) began(id, key string) error { return j.append(journalLine{Upload: id, Key: key}) }
func (j *journal) ended(id string) error      { return j.append(journalLine{Ended: id}) }

func (j *journal) append(line journalLine) error {
	if j == nil || !utf8.ValidString(line.Key) {
		return nil // JSON would name another key
	}
	text, err := lineOf(line)
	if err != nil {
		return journalError{err}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(text); err != nil {
		return journalError{err}
	}
	if j.dirty++; j.dirty < syncLines {
		return nil
	}
	j.dirty = 0
	if err := j.file.Sync(); err != nil {
		return journalError{err}
	}
	return nil
}

// lineOf is a line with its end.
func lineOf(line journalLine) ([]byte, error) {
	text, err := json.Marshal(line)
	return append(text, '\n'), err
}

func (j *journal) close() error {
	return errors.Join(j.file.Sync(), j.file.Close())
}

// purpose is what distinguishes journals.
func (c *Copier) purpose() string {
	return strings.Join([]string{c.from.base.String(), c.from.bucket, c.to.base.String(), c.to.bucket, c.to.prefix}, " ")
}
