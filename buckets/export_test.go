package buckets

import (
	"time"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
)

// RememberExpired has Buckets remember so many settings that have expired already, and
// returns how many of them are still remembered.
func RememberExpired(bs *Buckets, n int) (left func() int) {
	now := time.Duration(0)
	bs.settings = bounded.New(bounded.Options[meta.ID, *Settings]{Bytes: MaxSettingsBytes, TTL: DefaultKeysTTL, Now: func() time.Duration { return now }})
	for range n {
		bs.settings.Put(meta.NewID(), &Settings{})
	}
	now = DefaultKeysTTL + 1
	return bs.settings.Len
}

// MaxSettingsText is maxSettingsText, SettingReads settingReads.
const (
	MaxSettingsText = maxSettingsText
	SettingReads    = settingReads
)

// RemembersSettings reports whether the settings of a bucket are remembered.
func RemembersSettings(bs *Buckets, b meta.Bucket) bool {
	_, ok := bs.settings.Get(b.ID)
	return ok
}

// ForgetSettings makes the next request read the settings of a bucket.
func ForgetSettings(bs *Buckets, b meta.Bucket) { bs.settings.Drop(b.ID) }

// SettingTurns are those who read settings.
func SettingTurns(bs *Buckets) *fair.Turns[meta.ID] { return bs.reading }
