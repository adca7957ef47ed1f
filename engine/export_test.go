package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/bounded"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
)

// RememberExpired has an engine remember so many settings that have expired already, and
// returns how many of them it still has.
func RememberExpired(e *Engine, n int) (left func() int) {
	now := time.Duration(0)
	e.settings = bounded.New(bounded.Options[meta.ID, *Settings]{Bytes: MaxSettingsBytes, TTL: BucketKeysTTL, Now: func() time.Duration { return now }})
	for range n {
		e.settings.Put(meta.NewID(), &Settings{})
	}
	now = BucketKeysTTL + 1
	return e.settings.Len
}

// MaxSettingsText is maxSettingsText, SettingReads settingReads.
const (
	MaxSettingsText = maxSettingsText
	SettingReads    = settingReads
)

// RemembersSettings reports whether the settings of a bucket are remembered.
func RemembersSettings(e *Engine, b meta.Bucket) bool {
	_, ok := e.settings.Get(b.ID)
	return ok
}

// ForgetSettings makes the next request read the settings of a bucket.
func ForgetSettings(e *Engine, b meta.Bucket) { e.settings.Drop(b.ID) }

// SettingTurns are those who read settings.
func SettingTurns(e *Engine) *fair.Turns[meta.ID] { return e.readingSettings }

// Finding is a fsck.Finding, and Findings are those of fsck.Run. Tests of this package
// cannot import that, which imports the engine; the harness sets Findings.
type Finding struct{ Kind, Bucket, Key, Version, Upload, Detail string }

var Findings func(context.Context, *Engine) ([]Finding, error)
