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
	// syncLines is the number of lines that a crash of the machine may lose. A
	// lost line costs work only.
	syncLines = 64
	// maxLine bounds a line. Each byte of a key may be escaped.
	maxLine = 16 << 10
)

// journalLine is one line of the file. The first line has For. The others are
// proofs, or the begin or the end of an upload, as the fields tell.
type journalLine struct {
	For        string    `json:"for,omitempty"` // source and target
	Key        string    `json:"key,omitempty"`
	ETag       string    `json:"etag,omitempty"` // at the source
	Size       int64     `json:"size,omitempty"`
	Modified   time.Time `json:"modified,omitzero"`
	TargetETag string    `json:"target_etag,omitempty"`
	Read       bool      `json:"read,omitempty"`   // the bytes were read back and compared
	Upload     string    `json:"upload,omitempty"` // begun, for Key at the target
	Ended      string    `json:"ended,omitempty"`  // id of an upload
}

// fact is a digest of a proof. It takes some forty bytes of memory for each
// line.
type fact [16]byte

// factOf is the digest of one proof.
func factOf(key, etag string, size int64, targetETag string, read bool) (f fact) {
	text := fmt.Sprintf("%q %q %d %q %t", key, etag, size, targetETag, read)
	sum := sha256.Sum256([]byte(text))
	copy(f[:], sum[:])
	return f
}

// journal records proofs across runs. A nil journal records nothing. It is safe
// for concurrent use.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	facts map[fact]struct{} // the facts in the file when it was opened
	open  map[string]string // uploads without an end then, with their keys
	dirty int
}

// journalError means that the journal cannot be written. The run stops, because
// it would not be recorded.
type journalError struct{ error }

func (e journalError) Unwrap() error { return e.error }

// openJournal opens or creates the file and locks it for this process. A last
// line that a crash has cut is removed. A file that is no journal, or the
// journal of another copy, is refused and not changed: its proofs would be
// wrong here.
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

// load locks and reads the file. It changes it only after it has been found to
// be a journal for this purpose.
func (j *journal) load(purpose string) error {
	// Before reading, so that no other run appends meanwhile.
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
		// A crash may have cut the first line. Its beginning tells that the file is
		// this journal.
		if err == io.EOF && number == 1 && !bytes.HasPrefix(first, text) {
			return errors.New("it is no journal, and was not changed")
		}
		if err == io.EOF {
			break // the rest has no line end: it was not written completely
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		var line journalLine
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			return fmt.Errorf("line %d is not that of a journal, and the file was not changed: %w", number, err)
		}
		switch {
		case number == 1 && line.For == "":
			return errors.New("it is no journal, and was not changed")
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

// learn adds a line to the facts and open uploads.
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

// knows reports whether an earlier run proved that the objects of both sides
// are the same, and whether it did so by reading.
func (j *journal) knows(t *task) (known, read bool) {
	if j == nil {
		return false, false
	}
	_, read = j.facts[factOf(t.key, t.etag, t.size, t.at.etag, true)]
	_, known = j.facts[factOf(t.key, t.etag, t.size, t.at.etag, false)]
	return known || read, read
}

// proven records a proof.
func (j *journal) proven(t *task, targetETag string, read bool) error {
	return j.append(journalLine{Key: t.key, ETag: t.etag, Size: t.size, Modified: t.modified, TargetETag: targetETag, Read: read})
}

// began and ended record an open upload, so that the next run can abort it.
func (j *journal) began(id, key string) error { return j.append(journalLine{Upload: id, Key: key}) }
func (j *journal) ended(id string) error      { return j.append(journalLine{Ended: id}) }

// append writes a line. Every syncLines lines it waits for the disk.
func (j *journal) append(line journalLine) error {
	if j == nil || !utf8.ValidString(line.Key) {
		return nil // JSON would change the key
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

// lineOf is a line with its line end.
func lineOf(line journalLine) ([]byte, error) {
	text, err := json.Marshal(line)
	return append(text, '\n'), err
}

// close writes the lines to the disk and unlocks the file.
func (j *journal) close() error {
	return errors.Join(j.file.Sync(), j.file.Close())
}

// purpose identifies the copy that a journal belongs to.
func (c *Copier) purpose() string {
	return strings.Join([]string{c.from.base.String(), c.from.bucket, c.to.base.String(), c.to.bucket, c.to.prefix}, " ")
}
