package fsck

import (
	"errors"
	"slices"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// MaxFindings are kept in a report; the rest is counted.
const MaxFindings = 10_000

// Severities of a finding.
const (
	SeverityLost = "lost" // an object or part cannot be served whole
	SeverityLeak = "leak" // bytes or rows that nothing needs
	// SeverityDoubt is of blobs that a process left between writing and committing
	// them: nothing in this store needs them, and a later state of it may. No fault.
	SeverityDoubt = "doubt"
)

// Kinds of rows that are not what was sealed.
const (
	versionEdited = "version-edited"
	uploadEdited  = "upload-edited"
)

// Finding is one contradiction between the store and a backend.
type Finding struct {
	Kind     string `json:"kind"`
	Severity string `json:"severity"`
	Backend  string `json:"backend,omitempty"` // name
	Blob     string `json:"blob,omitempty"`
	Bucket   string `json:"bucket,omitempty"` // id
	// BucketName is its name; empty where the bucket is no more.
	BucketName string `json:"bucket_name,omitempty"`
	Key        string `json:"key,omitempty"`
	Version    string `json:"version,omitempty"`
	Upload     string `json:"upload,omitempty"`
	Row        string `json:"row,omitempty"` // of what is no object: its kind and id
	Detail     string `json:"detail"`
}

// of is a finding of a kind, or where the row was edited, of another.
func (f Finding) of(kind, edited string, err error) Finding {
	if errors.Is(err, records.ErrEdited) {
		kind = edited
	}
	f.Kind, f.Severity, f.Detail = kind, SeverityLost, err.Error()
	if d, ok := errors.AsType[*damage.Damage](err); ok {
		// The finding's own fields name the backend and the blob, so the text need not.
		if f.Detail = d.Unwrap().Error(); d.Backend != "" {
			f.Blob, f.Backend = d.BlobName(), d.Backend
		}
	}
	return f
}

// Report is what Run saw. PendingBlobs is what the collector has yet to remove, which
// is no fault.
type Report struct {
	Objects      int64 `json:"objects"` // versions that are no delete markers
	Uploads      int64 `json:"uploads"`
	Parts        int64 `json:"parts"`
	Blobs        int64 `json:"blobs"`
	Bytes        int64 `json:"bytes"` // plaintext bytes of the objects
	ReservedBlob int64 `json:"reserved_blobs"`
	DoubtfulBlob int64 `json:"doubtful_blobs"` // kept until they are discarded
	PendingBlobs int64 `json:"pending_blobs"`
	BackendBlobs int64 `json:"backend_blobs"`
	// Customer counts the objects of SSE-C. Without their customers' keys neither
	// their manifests nor their bytes are checked, however deep.
	Customer int64 `json:"customer_objects"`
	Deep     bool  `json:"deep"`
	// Sealing is how much of the store's rows is sealed.
	Sealing  meta.Sealing `json:"sealing"`
	Lost     int64        `json:"lost"`
	Leaked   int64        `json:"leaked"`
	Findings []Finding    `json:"findings"`
}

// Clean reports whether nothing was found.
func (r *Report) Clean() bool { return r.Lost == 0 && r.Leaked == 0 }

func (r *Report) add(f Finding) {
	switch f.Severity {
	case SeverityLost:
		r.Lost++
	case SeverityLeak:
		r.Leaked++
	}
	if len(r.Findings) < MaxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// mergeMissing leaves out blobs that are missing where each object that cannot be read
// for it is a finding too: a deep check meets both.
func (r *Report) mergeMissing() {
	unreadable := make(map[string]bool) // by blob
	for _, f := range r.Findings {
		if f.Kind == "object-unreadable" && f.Blob != "" {
			unreadable[f.Blob] = true
		}
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		merged := f.Kind == "blob-missing" && unreadable[f.Blob]
		if merged {
			r.Lost--
		}
		return merged
	})
}
