package access

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// keyActions lists the condition keys that only some actions have, with these
// actions; both in lower case, actions without their prefix. Other keys are not
// checked: the global keys of AWS, which every request has, and those that most
// actions of S3 have. For any other action such a key is absent, even if the
// request has a value.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var keyActions = func() map[string]map[string]bool {
	m := make(map[string]map[string]bool)
	for _, group := range []struct{ keys, actions string }{
		{"prefix delimiter max-keys", "ListBucket ListBucketVersions"},
		{"versionid", `DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging
			GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation GetObjectVersionAttributes
			GetObjectVersionTagging GetObjectVersionTorrent ListObjectVersionAnnotations
			PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging`},
		{"x-amz-acl", "BypassGovernanceRetention CreateAccessPoint CreateBucket PutBucketAcl PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp",
			"BypassGovernanceRetention CreateBucket PutBucketAcl PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-storage-class", "BypassGovernanceRetention PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-copy-source x-amz-metadata-directive x-amz-website-redirect-location", "BypassGovernanceRetention PutObject"},
		{"x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id",
			"BypassGovernanceRetention PutObject ReplicateObject UpdateObjectEncryption"},
		{"x-amz-server-side-encryption-customer-algorithm", "BypassGovernanceRetention PutObject ReplicateObject"},
		// AWS has it for CreateBucket alone; the other action does the same
		// later.
		{"x-amz-object-ownership", "CreateBucket PutBucketOwnershipControls"},
		{"locationconstraint x-amz-bucket-namespace", "CreateBucket"},
		{"if-none-match objectcreationoperation", "PutObject"},
		{"if-match", "DeleteObject DeleteObjectVersion PutObject"},
		{"inventoryaccessibleoptionalfields", "PutInventoryConfiguration"},
		{"object-lock-mode object-lock-remaining-retention-days object-lock-retain-until-date", "PutObject PutObjectRetention"},
		{"object-lock-legal-hold", "PutObject PutObjectLegalHold"},
		{"requestobjecttag/ requestobjecttagkeys", "BypassGovernanceRetention PutObject PutObjectTagging PutObjectVersionTagging"},
	} {
		has := make(map[string]bool)
		for _, a := range strings.Fields(strings.ToLower(group.actions)) {
			has[a] = true
		}
		for _, k := range strings.Fields(group.keys) {
			m["s3:"+k] = has
		}
	}
	return m
}()

// keyBits has keyActions by indexes in Actions.
var keyBits = func() map[string]*actionBits {
	m := make(map[string]*actionBits, len(keyActions))
	for key, actions := range keyActions {
		bits := new(actionBits)
		for a := range actions {
			bits.add(loweredIndex["s3:"+a])
		}
		m[key] = bits
	}
	return m
}()

// hasKey reports whether the action can have the key.
func (a *asked) hasKey(key string) bool {
	if strings.HasPrefix(key, "aws:") {
		return true // not in keyActions, and most conditions test these
	}
	only := keyBits[familyOf(strings.TrimPrefix(key, folded))]
	return only == nil || a.index >= 0 && only.has(a.index)
}

// bucketTags are the families of condition keys that are the tags of a bucket.
// On AWS they have values in buckets whose ABAC is on, which is not implemented.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
var bucketTags = map[string]bool{"aws:resourcetag/": true, "s3:buckettag/": true}

// CheckConditions refuses, as MalformedPolicy, a statement with a condition on
// a key that one of its actions never has: such a statement would allow, or
// deny, nothing. Actions with wildcards are not checked. Tags of buckets are
// refused for all actions, since buckets have tags and a denial by them would
// seem to be in effect. It is for policies that are about to be stored;
// decisions do not depend on it.
func (p *Policy) CheckConditions() error {
	if asks := func(s statement) bool { return s.asks(bucketTags) }; slices.ContainsFunc(p.allows, asks) || slices.ContainsFunc(p.denies, asks) {
		return s3err.New(s3err.MalformedPolicy, "Conditions on the tags of a bucket need its ABAC, which is not implemented.")
	}
	source, err := p.dialect.read([]byte(p.text))
	if err != nil {
		return err
	}
	for _, s := range source.Statements {
		for _, keys := range s.Condition {
			for key := range keys {
				if !s.mayHave(key) {
					return s3err.New(s3err.MalformedPolicy, "Conditions do not apply to combination of actions and resources in statement")
				}
			}
		}
	}
	return nil
}

// mayHave reports whether all actions of the statement can have the key.
func (s *rawStatement) mayHave(key string) bool {
	actions := keyActions[familyOf(normalKey(key))]
	if actions == nil {
		return true
	}
	for _, a := range s.Action {
		name, ok := strings.CutPrefix(strings.ToLower(a), "s3:")
		if ok && !strings.ContainsAny(name, "*?") && !actions[name] {
			return false
		}
	}
	return true
}
