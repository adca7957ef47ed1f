package access

import (
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// keyActions are the condition keys that few actions have, with those actions; both
// in lower case, actions without their prefix. Keys that are not here are not checked:
// those of AWS as a whole, which every request has, and those that most of S3 has.
// For an action that is not among them such a key is absent, whatever the request says.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var keyActions = func() map[string]map[string]bool {
	m := make(map[string]map[string]bool)
	for _, group := range []struct{ keys, actions string }{
		{"prefix delimiter max-keys", "ListBucket ListBucketVersions"},
		{"versionid", `DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObjectVersion GetObjectVersionAcl
			GetObjectVersionAnnotation GetObjectVersionAttributes GetObjectVersionTagging GetObjectVersionTorrent
			ListObjectVersionAnnotations PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging`},
		{"x-amz-acl", "BypassGovernanceRetention CreateAccessPoint CreateBucket PutBucketAcl PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp",
			"BypassGovernanceRetention CreateBucket PutBucketAcl PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-storage-class", "BypassGovernanceRetention PutObject PutObjectAcl PutObjectVersionAcl"},
		{"x-amz-copy-source x-amz-metadata-directive x-amz-website-redirect-location", "BypassGovernanceRetention PutObject"},
		{"x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id",
			"BypassGovernanceRetention PutObject ReplicateObject UpdateObjectEncryption"},
		{"x-amz-server-side-encryption-customer-algorithm", "BypassGovernanceRetention PutObject ReplicateObject"},
		// AWS has it of CreateBucket alone; the other is the way to the same afterwards.
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

// keyBits are keyActions by the actions' places in Actions.
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

// hasKey reports whether the action can have a key.
func (a *asked) hasKey(key string) bool {
	if strings.HasPrefix(key, "aws:") {
		return true // no row of keyActions, and what most conditions are on
	}
	only := keyBits[familyOf(strings.TrimPrefix(key, folded))]
	return only == nil || a.index >= 0 && only.has(a.index)
}

// CheckConditions refuses, as MalformedPolicy, a statement one of whose conditions is on
// a key that one of its actions never has: allowing, it would allow nothing, and denying,
// it would deny nothing. Actions that are patterns are not checked. It is for policies
// that are about to be stored; how one is decided does not depend on it.
func (p *Policy) CheckConditions() error {
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
