package inventory

import "github.com/sanctum-storage/gateway/strict"

// Setting is the prefix of the names of the bucket settings that hold a Configuration; the
// configuration's id follows it.
const Setting = "inventory/"

// Configuration is one inventory configuration of a bucket. Its JSON is what is stored:
// names may be added, and never change.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_InventoryConfiguration.html
type Configuration struct {
	ID       string   `json:"id"`
	Enabled  bool     `json:"enabled"`
	Versions bool     `json:"versions"`         // of all versions; otherwise of current ones
	Prefix   *string  `json:"prefix,omitempty"` // of the objects; nil: no filter was given
	Weekly   bool     `json:"weekly"`           // otherwise daily
	Fields   []string `json:"fields,omitempty"` // optional ones, as S3 names them, in the order given

	Target       string  `json:"target"` // the destination bucket's name
	TargetID     string  `json:"target_id"`
	TargetPrefix *string `json:"target_prefix,omitempty"`
	Account      string  `json:"account,omitempty"` // as given
	Format       string  `json:"format"`            // CSV
	// Sealed: SSE-S3 was asked for, which holds for every object anyway.
	Sealed   bool `json:"sealed,omitempty"`
	ByPolicy bool `json:"by_policy,omitempty"` // see Delivery
}

// Parse reads the document of the setting; see buckets.Parsed.
func Parse(document []byte) (Configuration, error) { return strict.Decode[Configuration](document) }
