package accounts

import (
	"crypto/sha256"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Kinds of records. They are part of the sealed form and never change.
const (
	recordTenant    = "record/tenant"
	recordAccessKey = "record/access-key"
)

// tenantFacts is the content of a tenant's record.
type tenantFacts struct {
	Name      string   `json:"name"`
	Created   int64    `json:"created"`
	Residency string   `json:"residency,omitempty"`
	Limits    [32]byte `json:"limits"` // SHA-256 of the sealed limits, or of nothing when there are none
}

// accessKeyFacts is the content of an access key's record, besides its secret.
type accessKeyFacts struct {
	User     meta.ID `json:"user"`
	Created  int64   `json:"created"`
	Inactive bool    `json:"inactive,omitempty"`
}

// tenantFactsOf returns the facts of a row that the tenant's record proves.
func tenantFactsOf(t *meta.Tenant) tenantFacts {
	return tenantFacts{t.Name, t.Created.UnixMicro(), t.Residency, sha256.Sum256(t.Limits)}
}

// SealTenant adds the record to a tenant's row; none under an early sealing.
func (a *Accounts) SealTenant(s meta.Sealing, t *meta.Tenant) (err error) {
	t.Record = nil
	if s >= meta.SealingRenewed {
		t.Record, err = records.Seal(a.Records, recordTenant, t.ID[:], tenantFactsOf(t))
	}
	return err
}

// proveTenant compares a tenant's row with its record.
func (a *Accounts) proveTenant(t *meta.Tenant) error {
	return records.Edited("the row of tenant "+t.ID.String(),
		records.Prove(a.Records, recordTenant, t.ID[:], t.Record, tenantFactsOf(t)))
}

// accessKeyFactsOf returns the facts of a row that the access key's record
// proves.
func accessKeyFactsOf(k *meta.AccessKey) accessKeyFacts {
	return accessKeyFacts{k.User, k.Created.UnixMicro(), k.Inactive}
}

// sealAccessKey is SealTenant for an access key.
func (a *Accounts) sealAccessKey(s meta.Sealing, k *meta.AccessKey) (err error) {
	k.Record = nil
	if s >= meta.SealingRenewed {
		k.Record, err = records.Seal(a.Records, recordAccessKey, []byte(k.ID), accessKeyFactsOf(k))
	}
	return err
}

// proveAccessKey compares an access key's row with its record.
func (a *Accounts) proveAccessKey(k *meta.AccessKey) error {
	return records.Edited("the row of access key "+k.ID,
		records.Prove(a.Records, recordAccessKey, []byte(k.ID), k.Record, accessKeyFactsOf(k)))
}
