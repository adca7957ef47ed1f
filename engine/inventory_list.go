package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// inventoryFile is the size from which a data file is written and another begun,
// in bytes as compressed: what a list holds in memory.
const inventoryFile = 8 << 20

// errListObsolete: the configuration, or a bucket, has changed under the list.
var errListObsolete = errors.New("the configuration or a bucket has changed")

// inventoryList is a list that is being written.
type inventoryList struct {
	e     *Engine
	b     meta.Bucket // whose objects are listed
	c     Inventory
	day   time.Time
	after string
	newer meta.VersionRef // the version to continue after
	ended bool            // all versions were looked at
	held  bytes.Buffer    // the data file under way, compressed
	zip   *gzip.Writer    // nil: none is under way
	files []inventoryData
	tries int
	done  bool
}

// inventoryData is a data file as the manifest names it.
type inventoryData struct {
	Key  string `json:"key"`
	Size int    `json:"size"`
	MD5  string `json:"MD5checksum"`
}

// inventoryManifest is manifest.json.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
type inventoryManifest struct {
	Source      string          `json:"sourceBucket"`
	Destination string          `json:"destinationBucket"`
	Version     string          `json:"version"`
	Created     string          `json:"creationTimestamp"` // milliseconds
	Format      string          `json:"fileFormat"`
	Schema      string          `json:"fileSchema"`
	Files       []inventoryData `json:"files"`
}

func (l *inventoryList) name() listName { return listName{l.b.ID, l.c.ID} }

// folder is where all lists of the configuration are.
func (l *inventoryList) folder() string {
	prefix := ""
	if l.c.TargetPrefix != nil && *l.c.TargetPrefix != "" {
		prefix = strings.TrimSuffix(*l.c.TargetPrefix, "/") + "/"
	}
	return prefix + l.b.Name + "/" + l.c.ID + "/"
}

// checksumKey is the object that is written last.
func (l *inventoryList) checksumKey() string {
	return l.folder() + l.day.Format("2006-01-02T15-04Z") + "/manifest.checksum"
}

// target finds the bucket that takes the list. It must be the one that was named
// when the configuration was made, and still belong to the same owner.
func (l *inventoryList) target(ctx context.Context) (meta.Bucket, error) {
	b, err := l.e.Bucket(ctx, l.c.Target)
	if errors.Is(err, s3err.NoSuchBucket) || err == nil && (b.ID.String() != l.c.TargetID || b.Owner != l.b.Owner) {
		return b, errListObsolete
	}
	return b, err
}

// written reports whether the list is there.
func (l *inventoryList) written(ctx context.Context) (bool, error) {
	to, err := l.target(ctx)
	if err != nil {
		return false, err
	}
	_, err = l.e.store.Object(ctx, to.ID, l.checksumKey())
	if errors.Is(err, meta.ErrNotFound) {
		return false, nil
	}
	return err == nil, storeError(err)
}

// step lists one page, or ends the list.
func (l *inventoryList) step(ctx context.Context, r *InventoryReport) error {
	now, err := l.e.sameBucket(ctx, l.b)
	if errors.Is(err, s3err.NoSuchBucket) {
		return errListObsolete
	} else if err != nil {
		return err
	}
	if now.Revision != l.b.Revision {
		s, err := l.e.Settings(ctx, now)
		if err != nil {
			return err
		}
		if c, _, err := Parsed(s, InventorySetting+l.c.ID, ParseInventory); err != nil || !reflect.DeepEqual(c, l.c) {
			return errListObsolete
		}
	}
	l.b = now
	to, err := l.target(ctx)
	if err != nil {
		return err
	}
	if l.held.Len() >= inventoryFile || l.ended && l.zip != nil {
		return l.flush(ctx, to)
	}
	if l.ended {
		return l.finish(ctx, to)
	}
	q := meta.VersionQuery{Bucket: l.b.ID, AfterKey: l.after, AfterVersion: l.newer, Limit: inventoryRows}
	if l.c.Prefix != nil {
		q.Prefix = *l.c.Prefix
	}
	page, err := l.e.store.ListVersions(ctx, q)
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
	l.after, l.newer, l.ended = page.NextKey, page.NextVersion, !page.More
	return nil
}

// flush writes the data file under way.
func (l *inventoryList) flush(ctx context.Context, to meta.Bucket) error {
	if err := l.zip.Close(); err != nil {
		return err
	}
	data := l.held.Bytes()
	key := l.folder() + "data/" + meta.NewID().String() + ".csv.gz"
	if err := l.put(ctx, to, key, "application/x-gzip", data); err != nil {
		return err
	}
	sum := md5.Sum(data)
	l.files = append(l.files, inventoryData{Key: key, Size: len(data), MD5: hex.EncodeToString(sum[:])})
	l.zip = nil
	l.held.Reset()
	return nil
}

// finish writes the manifest, and last its checksum, which says that all is there.
func (l *inventoryList) finish(ctx context.Context, to meta.Bucket) error {
	manifest, err := json.MarshalIndent(inventoryManifest{
		Source: l.b.Name, Destination: "arn:aws:s3:::" + l.c.Target, Version: "2016-11-30",
		Created: fmt.Sprint(l.e.now().UnixMilli()), Format: "CSV", Schema: strings.Join(l.c.columns(), ", "), Files: l.files,
	}, "", "  ")
	if err != nil {
		return err
	}
	var links strings.Builder
	for i, f := range l.files {
		if i > 0 {
			links.WriteByte('\n')
		}
		links.WriteString("s3://" + l.c.Target + "/" + f.Key)
	}
	sum := md5.Sum(manifest)
	checksum := l.checksumKey()
	for _, o := range []struct{ key, kind, data string }{
		{l.folder() + "hive/dt=" + l.day.Format("2006-01-02-15-04") + "/symlink.txt", "text/plain", links.String()},
		{strings.TrimSuffix(checksum, "checksum") + "json", "application/json", string(manifest)},
		{checksum, "text/plain", hex.EncodeToString(sum[:])},
	} {
		if err := l.put(ctx, to, o.key, o.kind, []byte(o.data)); err != nil {
			return err
		}
	}
	l.done = true
	return nil
}

// put writes an object of the list as the target's owner.
func (l *inventoryList) put(ctx context.Context, to meta.Bucket, key, kind string, data []byte) error {
	_, err := l.e.PutObject(ctx, PutObject{
		Bucket: to, Key: key, Owner: to.Owner, Attributes: Attributes{ContentType: kind},
		Body: Body{Reader: bytes.NewReader(data), Size: int64(len(data)), ChecksumAlgorithm: CRC64NVME},
	})
	return err
}
