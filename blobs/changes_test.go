package blobs

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// uncounted are the intents that leave an older copy of the store as good as the store:
// questions, signs of life, leases, epochs, progress, and what can be made anew.
var uncounted = []string{
	"Check", "Close", "Deployment", "InitDeployment", "ListBackends", "AdvanceEpoch", "NoteDrain", "Demands", "BlobBackends",
	"Lease", "TakeLease", "DropLease", "Bucket", "ListBuckets", "CountBuckets", "BucketSettings", "BucketSeeds", "FormerSeeds", "ScanKeys", "ScanUploadKeys",
	"Object", "Version", "Find", "Vacant", "Renamed", "ForgetRenames", "ListObjects", "ListVersions", "ScanObjects",
	"BucketUsage", "OwnerUsage", "FoldUsage", "Upload", "Parts", "ListUploads", "ScanUploads", "ScanParts", "Untrimmed",
	"Beat", "Holders", "Held", "DeadBlobs", "Defer", "Forget", "Blob", "ScanBlobs",
	"Tenant", "TenantByName", "ListTenants", "AccessKey", "ListAccessKeys", "Identity", "IdentitiesByID", "ListIdentities",
	"NoteResealed", "ScanAccessKeys", "ScanIdentities", "ScanSeeds", "Job", "SetJob",
}

// Every intent of the store counts as a change, but those that are known not to be one.
func TestChangesAreCounted(t *testing.T) {
	contract := reflect.TypeFor[meta.Store]()
	for _, name := range uncounted {
		if _, ok := contract.MethodByName(name); !ok {
			t.Errorf("the store has no %s", name)
		}
	}
	for i := range contract.NumMethod() {
		name := contract.Method(i).Name
		c := new(changes)
		func() {
			defer func() { recover() }() // there is no store behind it
			m := reflect.ValueOf(&CountedStore{changes: c}).MethodByName(name)
			args := make([]reflect.Value, m.Type().NumIn())
			for j := range args {
				args[j] = reflect.Zero(m.Type().In(j))
			}
			if m.Type().IsVariadic() {
				m.CallSlice(args)
			} else {
				m.Call(args)
			}
		}()
		if counted := c.n.Load() > 0; counted == slices.Contains(uncounted, name) {
			t.Errorf("%s counts as a change: %t", name, counted)
		}
	}
}
