package api

import "github.com/sanctum-storage/gateway/strict"

// loggingSetting is the name of the bucket setting that holds a logging.
const loggingSetting = "logging"

// logging is where records of requests to a bucket go: a bucket of the same owner.
// Its JSON is what is stored: names may be added, and never change.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LoggingEnabled.html
type logging struct {
	Target string `json:"target"` // the bucket's name, as it was given
	// TargetID is the bucket's id in hexadecimal: one made later under its name gets
	// nothing.
	TargetID string `json:"target_id"`
	Prefix   string `json:"prefix"`
	// Dates is logEventTime or logDeliveryTime: keys are
	// prefix + account/region/bucket/yyyy/mm/dd/… by that time. Empty: they are
	// prefix + yyyy-mm-dd-hh-mm-ss-…
	Dates string `json:"dates,omitempty"`
	// Simple: the simple form was asked for, which is also the default.
	Simple bool `json:"simple,omitempty"`
	// ByPolicy: the right to write there is not of the one who configured it, but of
	// the target's policy for the service, and lasts as long as that says so.
	ByPolicy bool `json:"by_policy,omitempty"`
}

// The values of logging.Dates.
const (
	logEventTime    = "EventTime"
	logDeliveryTime = "DeliveryTime"
)

// readLogging reads the document of the setting; see buckets.Parsed.
func readLogging(document []byte) (logging, error) { return strict.Decode[logging](document) }
