package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/sanctum-storage/gateway/meta"
)

// Names of the settings that say what a bucket reports of itself. InventorySetting
// is followed by the configuration's id.
const (
	LoggingSetting   = "logging"
	InventorySetting = "inventory/"
)

// Logging is where records of requests to a bucket go: a bucket of the same owner.
// Its JSON is what is stored: names may be added, and never change.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LoggingEnabled.html
type Logging struct {
	Target string `json:"target"` // the bucket's name, as it was given
	// TargetID is the bucket's id in hexadecimal: one made later under its name gets
	// nothing.
	TargetID string `json:"target_id"`
	Prefix   string `json:"prefix"`
	// Dates is LogEventTime or LogDeliveryTime: keys are
	// prefix + account/region/bucket/yyyy/mm/dd/… by that time. Empty: they are
	// prefix + yyyy-mm-dd-hh-mm-ss-…
	Dates string `json:"dates,omitempty"`
	// Simple: the simple form was asked for, which is also the default.
	Simple bool `json:"simple,omitempty"`
	// ByPolicy: the right to write there is not of the one who configured it, but of
	// the target's policy for the service, and lasts as long as that says so.
	ByPolicy bool `json:"by_policy,omitempty"`
}

// The values of Logging.Dates.
const (
	LogEventTime    = "EventTime"
	LogDeliveryTime = "DeliveryTime"
)

// Inventory is one inventory configuration of a bucket.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_InventoryConfiguration.html
type Inventory struct {
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
	ByPolicy bool `json:"by_policy,omitempty"` // see Logging
}

// ParseLogging and ParseInventory read documents of the settings; see Parsed.
func ParseLogging(document []byte) (Logging, error)     { return strictJSON[Logging](document) }
func ParseInventory(document []byte) (Inventory, error) { return strictJSON[Inventory](document) }

// Delivery is an object that a report is about to be delivered as.
type Delivery struct {
	From, To meta.Bucket
	Key      string
	ByPolicy bool // see Logging
}

// PermitDeliveries has may decide, before each object of an inventory is written,
// whether the target's owner still lets it; an error keeps it away.
func (e *Engine) PermitDeliveries(may func(context.Context, Delivery) error) { e.permit.Store(&may) }

var errTrailing = errors.New("something follows the document")

// strictJSON reads one value. A name that this release does not know is an error:
// what is half understood must not be acted upon.
func strictJSON[T any](document []byte) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err = d.Decode(&v); err == nil {
		if _, err = d.Token(); err == io.EOF {
			return v, nil
		} else if err == nil {
			err = errTrailing
		}
	}
	return v, err
}
