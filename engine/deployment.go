package engine

import (
	"errors"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// recordDeployment is the kind of the deployment's record, as it is sealed.
const recordDeployment = "record/deployment"

// deploymentFacts are what a deployment's record says. Times are in microseconds
// since 1970, as in rows.
type deploymentFacts struct {
	Root    meta.ID      `json:"root"`
	Created int64        `json:"created"`
	Sealing meta.Sealing `json:"sealing"`
}

// The id is not among them: it is the name under which the record is sealed. The seed is
// authenticated by its own wrap.
func deploymentFactsOf(d *meta.Deployment) deploymentFacts {
	return deploymentFacts{d.Root, d.Created.UnixMicro(), d.Sealing}
}

// sealRow gives the row its record.
func (s *Sealing) sealRow(d *meta.Deployment) (err error) {
	// The record never covers itself, and a row that is sealed anew must not carry the old one
	// along.
	d.Record = nil
	if d.Sealing >= meta.SealingRenewed {
		d.Record, err = records.Seal(s.records, recordDeployment, d.ID[:], deploymentFactsOf(d))
	}
	return err
}

// proveRow holds the deployment's row against its record. Whether it is to
// have one is the row's to say, and the backends' markers' to refute.
func (s *Sealing) proveRow(d *meta.Deployment) error {
	if d.Sealing == 0 {
		// A store from before there were records has no value in the column.
		d.Sealing = meta.SealingLegacy
	}
	if d.Sealing == meta.SealingLegacy && len(d.Record) == 0 {
		return nil
	}
	facts, err := records.Open[deploymentFacts](s.records, recordDeployment, d.ID[:], d.Record)
	if err == nil && facts != deploymentFactsOf(d) {
		err = errors.New("it is not what its record says")
	}
	return records.Edited("the deployment's row", err)
}
