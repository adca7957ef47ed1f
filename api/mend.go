package api

import (
	"slices"

	"github.com/sanctum-storage/gateway/engine"
)

// mended are the operations that replace a setting whatever it was, each with what
// it replaces. So a setting that cannot be read, because its row was damaged or
// edited, can be put right by the root of the bucket's owner. Those that would open
// a bucket further by taking away a public access block, ownership controls or a
// default retention are not among them: there another has to take its place.
var mended = map[string]string{
	"PutBucketPolicy":                    settingPolicy,
	"DeleteBucketPolicy":                 settingPolicy,
	"PutBucketAcl":                       settingACL,
	"PutBucketOwnershipControls":         settingOwnership,
	"PutPublicAccessBlock":               settingPublicAccessBlock,
	"PutObjectLockConfiguration":         engine.ObjectLockSetting,
	"PutBucketEncryption":                engine.EncryptionSetting,
	"DeleteBucketEncryption":             engine.EncryptionSetting,
	"PutBucketCors":                      settingCORS,
	"DeleteBucketCors":                   settingCORS,
	"PutBucketWebsite":                   settingWebsite,
	"DeleteBucketWebsite":                settingWebsite,
	"PutBucketTagging":                   settingTags,
	"DeleteBucketTagging":                settingTags,
	"PutBucketLifecycleConfiguration":    engine.LifecycleSetting,
	"DeleteBucketLifecycle":              engine.LifecycleSetting,
	"PutBucketLogging":                   engine.LoggingSetting,
	"PutBucketAccelerateConfiguration":   settingAccelerate,
	"PutBucketInventoryConfiguration":    engine.InventorySetting,
	"DeleteBucketInventoryConfiguration": engine.InventorySetting,
}

// mends reports whether the request replaces one of the settings that cannot be
// read. While the policy is among them, that is the first: it may deny the others.
func (r *Request) mends(broken []string, settings *engine.Settings) bool {
	name, ok := mended[r.Op.Name]
	if name == engine.InventorySetting {
		name += r.QueryValue("id")
	}
	isBroken := func(name string) bool { return slices.Contains(broken, name) || settings.IsBroken(name) }
	return ok && isBroken(name) && (name == settingPolicy || !isBroken(settingPolicy))
}
