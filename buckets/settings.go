package buckets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// maxSettingsText is what all settings of a bucket may take together: each request
	// that does not find them remembered reads them all.
	maxSettingsText = 2 << 20
	// settingReads is how many buckets of one owner have their settings read at once.
	settingReads = 8
)

// Settings are the opened sub-resources of a bucket in one revision. All requests that see
// the revision share them, and they never change.
type Settings struct {
	owner     meta.ID // of the bucket
	revision  int64
	documents map[string]string
	broken    map[string]error // why those that cannot be opened cannot; their documents are nil
	sums      settingSums      // of the bucket's record, or where it has none of the rows
	seeds     []seedFacts      // of the bucket's record
	missing   settingSums      // those of sums that have no row
	mu        sync.Mutex
	parsed    map[string]any
	gone      error                          // the bucket's key was taken away, so none opens; nil: it was not
	shared    *bounded.Cache[parsedKey, any] // nil: what is made of them is theirs alone
}

// Document is the setting of the name, or false. The bytes are the caller's.
// One that cannot be opened is there and empty, which is no document of any kind.
func (s *Settings) Document(name string) ([]byte, bool) {
	d, ok := s.documents[name]
	return []byte(d), ok || s.isMissing(name)
}

// removedSetting is what Broken calls settings whose rows are gone, whose names are
// not known.
const removedSetting = "(removed from the store)"

// Broken names those that cannot be opened, in order. Settings never returns such.
func (s *Settings) Broken() []string {
	names := slices.Sorted(maps.Keys(s.broken))
	if len(s.missing) > 0 {
		names = append(names, removedSetting)
	}
	return names
}

// Gone is why none of the settings opens, with the code that clients are told, if the
// bucket's key was taken away. They can still be removed.
func (s *Settings) Gone() error { return s.gone }

// IsBroken reports whether a setting is among those that cannot be opened.
func (s *Settings) IsBroken(name string) bool { return s.why(name) != nil }

// why is what is wrong with a setting that cannot be opened, or nil.
func (s *Settings) why(name string) error {
	if err := s.broken[name]; err != nil {
		return err
	}
	if s.isMissing(name) {
		return records.Edited("the setting "+name+" of a bucket", errors.New("its row was removed"))
	}
	return nil
}

func (s *Settings) isMissing(name string) bool {
	if len(s.missing) == 0 {
		return false
	}
	_, ok := s.missing[nameSum(name)]
	return ok
}

// Names are those that begin with the prefix, in no order: a kind of setting of
// which a bucket may have many is stored as prefix and id.
func (s *Settings) Names(prefix string) []string {
	var names []string
	for name := range s.documents {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			names = append(names, name)
		}
	}
	return names
}

// Settings returns the sub-resources of a bucket as of the bucket's revision:
// what was cached under that is still so. It fails where one cannot be opened.
// Errors wrap records.ErrEdited where a row was removed or replaced. Most callers need this one
// and not ReadableSettings: it fails closed.
func (bs *Buckets) Settings(ctx context.Context, b meta.Bucket) (*Settings, error) {
	s, err := bs.ReadableSettings(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := s.damage(b.Name); err != nil {
		return nil, err
	}
	return s, nil
}

// ReadableSettings is Settings that does not fail where some cannot be opened: for callers
// that repair a broken setting or need only a different one.
func (bs *Buckets) ReadableSettings(ctx context.Context, b meta.Bucket) (*Settings, error) {
	if s, ok, err := bs.rememberedSettings(ctx, b); ok || err != nil {
		return s, err
	}
	// With SealingWhole the rows are looked at all the same, so that a setting that an edit has
	// added is noticed.
	if b.Revision == 0 && bs.Records.Sealing() < meta.SealingWhole {
		return &Settings{}, nil // nothing was ever set
	}
	within, done := meta.Patiently(ctx) // others wait for as long as for a call of the store
	// A tenant with many buckets that are asked for at once waits for its own, and not the others
	// for it.
	leave, err := bs.reading.Enter(within, b.Owner)
	done()
	if err != nil {
		return nil, meta.Coded(err)
	}
	defer leave()
	if s, ok, err := bs.rememberedSettings(ctx, b); ok || err != nil {
		return s, err // somebody read them meanwhile
	}
	s, _, err := bs.readSettings(ctx, b, bs.parsed)
	if err == nil && len(s.broken)+len(s.missing) == 0 { // else it may be the keys that are not known yet
		bs.settings.Put(b.ID, s)
	}
	return s, err
}

// rememberedSettings are those of the bucket's revision, if they are remembered and the keys
// that opened them may still be used. Settings that were read just before the keys expired
// would otherwise outlive them by as much again. Settings that are none need no keys.
func (bs *Buckets) rememberedSettings(ctx context.Context, b meta.Bucket) (*Settings, bool, error) {
	s, ok := bs.settings.Get(b.ID)
	if !ok || s.revision != b.Revision {
		return nil, false, nil
	}
	if len(s.documents) > 0 {
		if _, err := bs.keyring(ctx, b.ID); KeyGone(err) {
			return nil, false, nil // they are read again, as settings that do not open
		} else if err != nil {
			return nil, false, err
		}
	}
	return s, true, nil
}

// rowBytes is how many bytes of settings cost as much as a row of a listing.
const rowBytes = 4 << 10

// PassingSettings is Settings for background steps that pass through all buckets: what is
// read is not remembered, so that it does not crowd out what requests need, and waits for
// no request. cost is that of the reading, in rows of listings; 0 if nothing was read.
func (bs *Buckets) PassingSettings(ctx context.Context, b meta.Bucket) (s *Settings, cost int, err error) {
	if s, ok, err := bs.rememberedSettings(ctx, b); ok || err != nil {
		return s, 0, err
	}
	s, size, err := bs.readSettings(ctx, b, nil)
	cost = 1 + size/rowBytes
	if err != nil {
		return nil, cost, err
	}
	return s, cost, s.damage(b.Name)
}

// damage is why not all settings of the bucket can be opened, or nil.
func (s *Settings) damage(bucket string) error {
	for _, err := range s.broken {
		return err
	}
	if len(s.missing) > 0 {
		return records.Edited("the settings of bucket "+bucket, fmt.Errorf("%d were removed", len(s.missing)))
	}
	return nil
}

// readSettings reads the settings of a bucket, and returns the size of their texts in
// bytes. Parsed settings go to shared; nil: to no other bucket.
func (bs *Buckets) readSettings(ctx context.Context, b meta.Bucket, shared *bounded.Cache[parsedKey, any]) (s *Settings, size int, err error) {
	rows, err := bs.Store.BucketSettings(ctx, b.ID)
	if errors.Is(err, meta.ErrNoBucket) {
		return nil, 0, NoSuch(b.Name)
	} else if err != nil {
		return nil, 0, meta.Coded(err)
	}
	sums, seeds, err := bs.recordedSums(&rows)
	if err != nil {
		return nil, 0, err
	}
	var all map[uint32]*encrypt.BucketKeys
	var gone error // why no setting opens, where the key was taken away
	if len(rows.Settings) > 0 {
		keys, err := bs.keysFor(ctx, &rows.Bucket)
		if KeyGone(err) {
			gone = err
		} else if err != nil {
			return nil, 0, err
		} else {
			all = keys.of
		}
	}
	s = &Settings{
		owner: b.Owner, revision: rows.Bucket.Revision, sums: sums, seeds: seeds, documents: make(map[string]string, len(rows.Settings)),
		shared: shared,
		broken: make(map[string]error), parsed: make(map[string]any), gone: gone,
	}
	for _, row := range rows.Settings {
		document, err := openSetting(all, row)
		if gone != nil {
			document, err = nil, gone
		}
		if sum, ok := sums[nameSum(row.Name)]; err == nil && (!ok || sum != documentSum(row.Document)) {
			document, err = nil, records.Edited("the row of a setting", errors.New("it is not the one that the bucket's record names"))
		}
		if err != nil {
			s.broken[row.Name] = fmt.Errorf("open the setting %s of bucket %s: %w", row.Name, b.Name, err)
		}
		// A setting that does not open stays in the map with an empty text, so that no caller
		// takes it for one that was never set.
		size += len(document)
		s.documents[row.Name] = bs.settings.Shared(string(document))
	}
	s.missing = missingOf(sums, rows.Settings)
	if len(s.broken)+len(s.missing) > 0 && gone == nil {
		bs.reportBroken(b, s)
	}
	return s, size, nil
}

// reportBroken reports that settings of a bucket are damaged, unless what is not known
// are the keys. A broken setting is not cached, so that it is whole again as soon as
// it is replaced.
func (bs *Buckets) reportBroken(b meta.Bucket, s *Settings) {
	err := errors.Join(slices.Collect(maps.Values(s.broken))...)
	if len(s.missing) > 0 {
		err = errors.Join(err, records.Edited("the settings of a bucket", fmt.Errorf("%d were removed", len(s.missing))))
	}
	bs.Damaged(b, err)
}

// recordedSums are what the record of a bucket says of its settings, or what their
// rows do where it has none yet; and what it says of the generations of its keys.
// The record decides also where it names fewer settings than there are rows: such rows are not
// believed.
func (bs *Buckets) recordedSums(rows *meta.BucketSettings) (settingSums, []seedFacts, error) {
	r, err := bs.proof(&rows.Bucket)
	if err != nil {
		return nil, nil, err
	}
	if bs.Records.Sealing() < meta.SealingRenewed || len(rows.Bucket.Record) == 0 {
		return sumSettings(rows.Settings), nil, nil
	}
	sums, err := decodeSums(r.sums)
	return sums, r.seeds, err
}

// missingOf are the sums of which there is no row.
func missingOf(sums settingSums, rows []meta.Setting) settingSums {
	missing := maps.Clone(sums)
	for _, row := range rows {
		delete(missing, nameSum(row.Name))
	}
	return missing
}

// openSetting opens a setting with the bucket's keys.
func openSetting(all map[uint32]*encrypt.BucketKeys, row meta.Setting) ([]byte, error) {
	generation, err := encrypt.MarksGeneration(row.Document)
	if err != nil {
		return nil, err
	}
	keys := all[generation]
	if keys == nil {
		return nil, fmt.Errorf("the bucket has no key of generation %d", generation)
	}
	return keys.OpenSetting(row.Name, row.Document)
}

// SetSetting stores a sub-resource of a bucket, or removes it when the document is
// empty. It is seen by every request, on every gateway, that finds the bucket
// after it returned.
func (bs *Buckets) SetSetting(ctx context.Context, b meta.Bucket, name string, document []byte) error {
	return bs.UpdateSetting(ctx, b, name, func(*Settings) ([]byte, error) { return document, nil })
}

// UpdateSetting is SetSetting of what update makes of the present settings, of which
// some may not be opened: those it must not take for absent. It is called again when
// they changed meanwhile, for as long as a contest goes on: OperationAborted.
// update must not change the Settings, and may be called several times.
func (bs *Buckets) UpdateSetting(ctx context.Context, b meta.Bucket, name string, update func(*Settings) ([]byte, error)) error {
	for c := (meta.Contest{}); ; {
		s, err := bs.ReadableSettings(ctx, b)
		if err != nil {
			return err
		}
		row := meta.Setting{Name: name}
		document, err := update(s)
		if err != nil {
			return err
		}
		if len(document) > 0 {
			if err := s.room(name, document); err != nil {
				return err
			}
			// Not for a removal, which works without. The revision settles that the generation is
			// still the newest.
			keys, err := bs.Keys(ctx, b)
			if err != nil {
				return err
			}
			row.Document = keys.SealSetting(name, document)
		}
		if s.revision != b.Revision { // what update saw is not what would be replaced
			err = meta.ErrConflict
		} else {
			err = bs.change(ctx, b, s.sums.with(row), s.seeds, func(ctx context.Context, c meta.Change) error { return bs.Store.SetSetting(ctx, b.ID, c, row) })
		}
		if !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
		if err = c.Again(ctx); err == nil {
			b, err = bs.Reread(ctx, b)
		}
		if err != nil {
			return meta.Coded(err)
		}
	}
}

// room refuses a document that makes a bucket's settings take up too much together.
func (s *Settings) room(name string, document []byte) error {
	more := len(document) - len(s.documents[name])
	all := more
	for _, d := range s.documents {
		all += len(d)
	}
	// A document that becomes shorter is always taken: it must be possible to get below the
	// limit again.
	if more > 0 && all > maxSettingsText {
		return s3err.New(s3err.TooManyConfigurations, "The configurations of a bucket have up to %d bytes together.", maxSettingsText)
	}
	return nil
}
