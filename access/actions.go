package access

import "strings"

// ResourceType is the kind of resource of an S3 action. It decides the ARN that
// policies are matched with.
type ResourceType uint8

const (
	AccountResource ResourceType = iota // no particular resource: only "*" covers it
	BucketResource                      // arn:aws:s3:::bucket
	ObjectResource                      // arn:aws:s3:::bucket/key
	OtherResource                       // access points, jobs and others, which the gateway does not have
)

// Action is an action of S3.
type Action struct {
	Name     string
	Resource ResourceType
}

// Actions lists all actions of S3 with their kinds of resource. A bucket policy
// can name no others, and Decide allows no others.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var Actions = func() (all []Action) {
	for _, group := range []struct {
		on    ResourceType
		names string
	}{{AccountResource, accountActions}, {BucketResource, bucketActions}, {ObjectResource, objectActions}, {OtherResource, otherActions}} {
		for _, name := range strings.Fields(group.names) {
			all = append(all, Action{"s3:" + name, group.on})
		}
	}
	return all
}()

const accountActions = `
	CreateJob CreateStorageLensGroup GetAccessPoint GetAccountPublicAccessBlock ListAccessGrantsInstances
	ListAccessPoints ListAccessPointsForObjectLambda ListAllMyBuckets ListJobs ListMultiRegionAccessPoints
	ListStorageLensConfigurations ListStorageLensGroups PutAccessPointPublicAccessBlock
	PutAccountPublicAccessBlock PutStorageLensConfiguration`

const bucketActions = `
	CreateBucket CreateBucketMetadataTableConfiguration CreateSession DeleteBucket
	DeleteBucketMetadataTableConfiguration DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketWebsite
	GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS
	GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification
	GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
	GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
	GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
	GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
	ListBucketMultipartUploads ListBucketVersions ListTagsForResource PutAccelerateConfiguration PutAnalyticsConfiguration
	PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification
	PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
	PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
	PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
	PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource UpdateBucketMetadataAnnotationTableConfiguration
	UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration`

const objectActions = `
	AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
	DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObject GetObjectAcl
	GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging
	GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation
	GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging
	GetObjectVersionTorrent InitiateReplication ListMultipartUploadParts ListObjectAnnotations
	ListObjectVersionAnnotations ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectAnnotation
	PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionAnnotation
	PutObjectVersionTagging ReplicateDelete ReplicateObject ReplicateTags RestoreObject
	UpdateObjectEncryption WriteGetObjectResponse`

const otherActions = `
	AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance
	CreateAccessGrantsLocation CreateAccessPoint CreateAccessPointForObjectLambda
	CreateMultiRegionAccessPoint DeleteAccessGrant DeleteAccessGrantsInstance
	DeleteAccessGrantsInstanceResourcePolicy DeleteAccessGrantsLocation DeleteAccessPoint
	DeleteAccessPointForObjectLambda DeleteAccessPointPolicy DeleteAccessPointPolicyForObjectLambda
	DeleteJobTagging DeleteMultiRegionAccessPoint DeleteStorageLensConfiguration
	DeleteStorageLensConfigurationTagging DeleteStorageLensGroup DescribeJob
	DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter GetAccessGrant
	GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix GetAccessGrantsInstanceResourcePolicy
	GetAccessGrantsLocation GetAccessPointConfigurationForObjectLambda GetAccessPointForObjectLambda
	GetAccessPointPolicy GetAccessPointPolicyForObjectLambda GetAccessPointPolicyStatus
	GetAccessPointPolicyStatusForObjectLambda GetDataAccess GetJobTagging GetMultiRegionAccessPoint
	GetMultiRegionAccessPointPolicy GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes
	GetStorageLensConfiguration GetStorageLensConfigurationTagging GetStorageLensDashboard
	GetStorageLensGroup ListAccessGrants ListAccessGrantsLocations ListCallerAccessGrants
	PauseReplication PutAccessGrantsInstanceResourcePolicy
	PutAccessPointConfigurationForObjectLambda PutAccessPointPolicy PutAccessPointPolicyForObjectLambda
	PutJobTagging PutMultiRegionAccessPointPolicy PutStorageLensConfigurationTagging
	SubmitMultiRegionAccessPointRoutes UpdateAccessGrantsLocation
	UpdateJobPriority UpdateJobStatus UpdateStorageLensGroup`

// actionIndex maps names to indexes in Actions.
var actionIndex = func() map[string]int {
	m := make(map[string]int, len(Actions))
	for i, a := range Actions {
		m[a.Name] = i
	}
	return m
}()

// loweredActions are the names of Actions in lower case, because patterns
// ignore case.
var loweredActions = func() []string {
	names := make([]string, len(Actions))
	for i, a := range Actions {
		names[i] = strings.ToLower(a.Name)
	}
	return names
}()

// loweredIndex maps names in lower case to indexes in Actions.
var loweredIndex = func() map[string]int {
	m := make(map[string]int, len(Actions))
	for i, name := range loweredActions {
		m[name] = i
	}
	return m
}()

// maxActions is the capacity of actionBits.
const maxActions = 256

// actionBits is a set of Actions by their index.
type actionBits [maxActions / 64]uint64

func (b *actionBits) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b *actionBits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// asked is the action of a need.
type asked struct {
	index   int    // in Actions; -1 for another service
	lowered string // set only for another service
}

// newAsked looks up the action of a need.
func newAsked(action string) asked {
	if i, ok := actionIndex[action]; ok {
		return asked{index: i}
	}
	return asked{index: -1, lowered: strings.ToLower(action)}
}

// actionSet is the Action or NotAction of a statement. S3's actions are
// expanded when the policy is compiled; patterns are for those of other
// services.
type actionSet struct {
	not      bool
	patterns []string // in lower case
	s3       actionBits
}

// newActionSet compiles patterns. Each S3 pattern is matched with all of
// Actions once.
func newActionSet(patterns []string, not bool) actionSet {
	s := actionSet{not: not, patterns: make([]string, 0, len(patterns))}
	seen := make(map[string]bool, len(patterns))
	for _, p := range patterns {
		if p = strings.ToLower(p); seen[p] {
			continue
		}
		seen[p] = true
		g := newGlob(p)
		s.patterns = append(s.patterns, p)
		// A name without wildcards needs no search.
		if i, ok := loweredIndex[p]; ok {
			s.s3.add(i)
			continue
		}
		for i, name := range loweredActions {
			if g.match(name, nil) {
				s.s3.add(i)
			}
		}
	}
	return s
}

// has reports whether the set has the action.
func (s *actionSet) has(a asked) bool {
	if a.index >= 0 {
		return s.s3.has(a.index) != s.not
	}
	// Actions of other services are not listed anywhere, so their patterns are
	// matched each time.
	for _, p := range s.patterns {
		if g := newGlob(p); g.match(a.lowered, nil) {
			return !s.not
		}
	}
	return s.not
}
