package inventory

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// fileSize is the size in compressed bytes at which a data file is written and the next
// one begins. A list holds that much in memory.
const fileSize = 8 << 20

// errListObsolete: the configuration, or a bucket, has changed while the list was written.
var errListObsolete = errors.New("the configuration or a bucket has changed")

// list is a list that is being written.
type list struct {
	s     *Steps
	b     meta.Bucket // whose objects are listed
	c     Configuration
	day   time.Time
	after string
	newer meta.VersionRef // the version to continue after
	ended bool            // all versions were looked at
	held  bytes.Buffer    // the data file under way, compressed
	zip   *gzip.Writer    // nil: none is under way
	files []dataFile
	tries int
	done  bool
	// stamp is the time in the names of the list's folders: the day, or a later minute of
	// it if the names of the minutes before are taken.
	stamp time.Time
	// manifest is made once. ends is the number of closing objects that are written.
	manifest []byte
	ends     int
}

// dataFile is the manifest's entry of a data file.
type dataFile struct {
	Key  string `json:"key"`
	Size int    `json:"size"`
	MD5  string `json:"MD5checksum"`
}

// manifestFile is manifest.json.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
type manifestFile struct {
	Source      string     `json:"sourceBucket"`
	Destination string     `json:"destinationBucket"`
	Version     string     `json:"version"`
	Created     string     `json:"creationTimestamp"` // milliseconds
	Format      string     `json:"fileFormat"`
	Schema      string     `json:"fileSchema"`
	Files       []dataFile `json:"files"`
}

func (l *list) name() listName { return listName{l.b.ID, l.c.ID} }

// folder is the prefix of all lists of the configuration.
// Its form is that of S3: prefix, source bucket and configuration.
func (l *list) folder() string {
	prefix := ""
	if l.c.TargetPrefix != nil && *l.c.TargetPrefix != "" {
		prefix = strings.TrimSuffix(*l.c.TargetPrefix, "/") + "/"
	}
	return prefix + l.b.Name + "/" + l.c.ID + "/"
}

// endKeys are the keys of the objects that close the list, in the order of writing.
func (l *list) endKeys() (links, manifest, checksum string) {
	at := l.folder() + l.stamp.Format("2006-01-02T15-04Z")
	return l.folder() + "hive/dt=" + l.stamp.Format("2006-01-02-15-04") + "/symlink.txt", at + "/manifest.json", at + "/manifest.checksum"
}

// SampleKeys has an example of each kind of key that lists of the configuration are written
// under.
func (c *Configuration) SampleKeys(bucket string, now time.Time) []string {
	l := list{b: meta.Bucket{Name: bucket}, c: *c, stamp: c.dayOf(now)}
	links, manifest, checksum := l.endKeys()
	return []string{l.dataKey(), links, manifest, checksum}
}

// dataKey is a new key for a data file.
// It is random, so that a list that is begun again does not meet the files of the first one.
func (l *list) dataKey() string {
	return l.folder() + "data/" + meta.NewID().String() + ".csv.gz"
}

// target finds the destination bucket. It must be the bucket that had the name when the
// configuration was stored, and still have the same owner.
// Both are compared, because names of buckets are given to others after a deletion.
func (l *list) target(ctx context.Context) (meta.Bucket, error) {
	b, err := l.s.engine.Buckets().Get(ctx, l.c.Target)
	if errors.Is(err, s3err.NoSuchBucket) || err == nil && (b.ID.String() != l.c.TargetID || b.Owner != l.b.Owner) {
		return b, errListObsolete
	}
	return b, err
}

// maxStamps is the number of names that are tried for a list. Each list that was begun and
// not completed, and each foreign object under a name, takes one.
const maxStamps = 10

// errNamesTaken: other objects, or lists that were never completed, have all names.
var errNamesTaken = errors.New("the names of the list are taken")

// written reports whether the list is complete. If not, it chooses names that are free. An
// existing object is never written over, because it may belong to a client. looks is the
// number of objects that were looked up.
func (l *list) written(ctx context.Context) (written bool, looks int, err error) {
	to, err := l.target(ctx)
	if err != nil {
		return false, looks, err
	}
	for minute := range maxStamps {
		l.stamp = l.day.Add(time.Duration(minute) * time.Minute)
		links, manifest, checksum := l.endKeys()
		taken := false
		// The checksum is asked for first, because it alone says that the list is complete.
		for _, key := range []string{checksum, manifest, links} {
			looks++
			_, err := l.s.store.Object(ctx, to.ID, key)
			if err == nil && key == checksum {
				return true, looks, nil
			}
			if err != nil && !errors.Is(err, meta.ErrNotFound) {
				return false, looks, meta.Coded(err)
			}
			taken = taken || err == nil
		}
		if !taken {
			return false, looks, nil
		}
	}
	return false, looks, errNamesTaken
}

// step lists one page, writes a data file, or closes the list.
// errListObsolete ends this list; after other errors the step can be repeated.
func (l *list) step(ctx context.Context, r *Report) error {
	now, err := l.s.engine.Buckets().Reread(ctx, l.b)
	if errors.Is(err, s3err.NoSuchBucket) {
		return errListObsolete
	} else if err != nil {
		return err
	}
	if now.Revision != l.b.Revision {
		settings, err := l.s.engine.Buckets().Settings(ctx, now)
		if err != nil {
			return err
		}
		if c, _, err := buckets.Parsed(settings, Setting+l.c.ID, Parse); err != nil || !reflect.DeepEqual(c, l.c) {
			return errListObsolete
		}
	}
	l.b = now
	to, err := l.target(ctx)
	if err != nil {
		return err
	}
	// One write is a step of its own, so that a step is bounded by a page or by a file and
	// never by both.
	if l.held.Len() >= fileSize || l.ended && l.zip != nil {
		return l.flush(ctx, to)
	}
	if l.ended {
		return l.finish(ctx, to)
	}
	q := meta.VersionQuery{Bucket: l.b.ID, AfterKey: l.after, AfterVersion: l.newer, Limit: stepRows}
	if l.c.Prefix != nil {
		q.Prefix = *l.c.Prefix
	}
	page, err := l.s.store.ListVersions(ctx, q)
	if err != nil {
		return err
	}
	var rows []byte
	for i := range page.Entries {
		v := &page.Entries[i].Version
		if l.c.Versions || v.Latest && !v.Marker {
			if rows, err = l.row(ctx, rows, v); err != nil {
				return err
			}
		}
	}
	if l.zip == nil && len(rows) > 0 {
		l.zip = gzip.NewWriter(&l.held)
	}
	if len(rows) > 0 {
		if _, err := l.zip.Write(rows); err != nil {
			return err
		}
	}
	r.Rows += len(page.Entries)
	// The position moves on after the rows are in the file. A step that fails lists the page
	// again, and nothing of it has been written yet.
	l.after, l.newer, l.ended = page.NextKey, page.NextVersion, !page.More
	return nil
}

// flush writes the data file in memory.
func (l *list) flush(ctx context.Context, to meta.Bucket) error {
	if err := l.zip.Close(); err != nil {
		return err
	}
	data := l.held.Bytes()
	key := l.dataKey()
	if err := l.put(ctx, to, key, "application/x-gzip", data); err != nil {
		return err
	}
	sum := weakhash.MD5(data)
	l.files = append(l.files, dataFile{Key: key, Size: len(data), MD5: hex.EncodeToString(sum[:])})
	// Only after the object was written: a failed try writes the same bytes again, under
	// another key.
	l.zip = nil
	l.held.Reset()
	return nil
}

// finish writes the closing objects. The checksum comes last and marks the list complete.
// A step that fails goes on with the first object that was not written.
func (l *list) finish(ctx context.Context, to meta.Bucket) error {
	// It is made once, because the checksum is of these bytes, and a try that failed may have
	// written them.
	if l.manifest == nil {
		manifest, err := json.MarshalIndent(manifestFile{
			Source: l.b.Name, Destination: "arn:aws:s3:::" + l.c.Target, Version: "2016-11-30",
			Created: fmt.Sprint(l.s.now().UnixMilli()), Format: "CSV", Schema: strings.Join(l.c.columns(), ", "), Files: l.files,
		}, "", "  ")
		if err != nil {
			return err
		}
		l.manifest = manifest
	}
	var links strings.Builder
	for i, f := range l.files {
		if i > 0 {
			links.WriteByte('\n')
		}
		links.WriteString("s3://" + l.c.Target + "/" + f.Key)
	}
	sum := weakhash.MD5(l.manifest)
	linksKey, manifestKey, checksumKey := l.endKeys()
	for i, o := range []struct{ key, kind, data string }{
		{linksKey, "text/plain", links.String()},
		{manifestKey, "application/json", string(l.manifest)},
		{checksumKey, "text/plain", hex.EncodeToString(sum[:])},
	} {
		if i < l.ends {
			continue
		}
		if err := l.put(ctx, to, o.key, o.kind, []byte(o.data)); err != nil {
			return err
		}
		l.ends++
	}
	l.done = true
	return nil
}

// put writes an object of the list as the target's owner, if the key holds nothing. If a
// client has written there since the names were chosen, the list ends and is begun again
// under other names.
func (l *list) put(ctx context.Context, to meta.Bucket, key, kind string, data []byte) error {
	if err := l.s.permit(ctx, Delivery{From: l.b, To: to, Key: key, ByPolicy: l.c.ByPolicy}); err != nil {
		return err
	}
	_, err := l.s.engine.PutObject(ctx, engine.PutObject{
		Bucket: to, Key: key, Owner: to.Owner, Attributes: engine.Attributes{ContentType: kind}, Conditions: engine.Conditions{IfNoneMatch: "*"},
		Body: engine.Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: engine.CRC64NVME},
	})
	if errors.Is(err, s3err.PreconditionFailed) {
		return fmt.Errorf("%w: %s", errListObsolete, key)
	}
	return err
}
