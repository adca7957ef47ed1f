package api

import (
	"slices"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/inventory"
)

// repairedSettings maps the operations that replace a setting, whatever it was,
// to that setting. The root of the bucket's owner uses them to repair a setting that
// cannot be read because its row was damaged or edited. Deleting a public access
// block, ownership controls or a default retention is not among them, because it
// would open the bucket further: those must be replaced by a new value.
var repairedSettings = map[string]string{
	"PutBucketPolicy":                    settingPolicy,
	"DeleteBucketPolicy":                 settingPolicy,
	"PutBucketAcl":                       settingACL,
	"PutBucketOwnershipControls":         settingOwnership,
	"PutPublicAccessBlock":               settingPublicAccessBlock,
	"PutObjectLockConfiguration":         buckets.ObjectLockSetting,
	"PutBucketEncryption":                buckets.EncryptionSetting,
	"DeleteBucketEncryption":             buckets.EncryptionSetting,
	"PutBucketCors":                      settingCORS,
	"DeleteBucketCors":                   settingCORS,
	"PutBucketWebsite":                   settingWebsite,
	"DeleteBucketWebsite":                settingWebsite,
	"PutBucketTagging":                   settingTags,
	"DeleteBucketTagging":                settingTags,
	"PutBucketLifecycleConfiguration":    engine.LifecycleSetting,
	"DeleteBucketLifecycle":              engine.LifecycleSetting,
	"PutBucketLogging":                   loggingSetting,
	"PutBucketAccelerateConfiguration":   settingAccelerate,
	"PutBucketInventoryConfiguration":    inventory.Setting,
	"DeleteBucketInventoryConfiguration": inventory.Setting,
}

// clearing are the operations by which the root of a bucket's owner clears it after the
// bucket's key was taken away.
var clearing = map[string]bool{"DeleteObject": true, "DeleteObjects": true, "DeleteBucket": true}

// clears reports whether the request clears a bucket whose key was taken away. A policy or
// an ACL has to be removed before: of all settings, they alone decide who may delete.
func (r *Request) clears(settings *buckets.Settings) bool {
	return settings.Gone() != nil && clearing[r.Op.Name] && !settings.IsBroken(settingPolicy) && !settings.IsBroken(settingACL)
}

// repairs reports whether the request replaces one of the unreadable settings. An
// unreadable policy must be replaced before all others, because it may deny
// them.
func (r *Request) repairs(broken []string, settings *buckets.Settings) bool {
	name, ok := repairedSettings[r.Op.Name]
	if name == inventory.Setting {
		name += r.QueryValue("id")
	}
	isBroken := func(name string) bool { return slices.Contains(broken, name) || settings.IsBroken(name) }
	return ok && isBroken(name) && (name == settingPolicy || !isBroken(settingPolicy))
}
