package encrypt_test

import (
	"bytes"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
)

// addedVectors are of what came to version 1 after its first set was frozen.
type addedVectors struct {
	CustomerKeys []customerVector  `json:"customer_keys,omitempty"`
	UnderListKey []underListVector `json:"under_list_key,omitempty"`
	Documents    []documentVector  `json:"documents,omitempty"`
	// Of version 1.2.
	CompletedKeys []completedVector `json:"completed_keys,omitempty"`
	// Of version 1.3.
	WholeRecords []wholeVector `json:"whole_records,omitempty"`
	// Of version 1.4.
	Envelopes []envelopeVector `json:"envelopes,omitempty"`
}

type customerVector struct {
	ID       hexBytes `json:"id"`
	Purpose  string   `json:"purpose"`
	Key      hexBytes `json:"key"`
	Customer hexBytes `json:"customer"`
	Wrap     hexBytes `json:"wrap"`
}

// completedVector is the wrapped key of a version, of a key of its own and the key of
// its upload's parts.
type completedVector struct {
	ID       hexBytes `json:"id"`
	Upload   hexBytes `json:"upload"`
	Key      hexBytes `json:"key"`
	PartsKey hexBytes `json:"parts_key"`
	Customer hexBytes `json:"customer"`
	Wrap     hexBytes `json:"wrap"`
}

type underListVector struct {
	Kind    string   `json:"kind"`
	Name    hexBytes `json:"name"`
	Version hexBytes `json:"version"`
	Plain   hexBytes `json:"plain"`
	Sealed  hexBytes `json:"sealed"`
}

type documentVector struct {
	Kind   string   `json:"kind"`
	ID     hexBytes `json:"id"`
	Plain  hexBytes `json:"plain"`
	Sealed hexBytes `json:"sealed"`
}

func (v *vectors) mustHaveAdded(t *testing.T) {
	t.Helper()
	if len(v.CustomerKeys) != 2 || len(v.UnderListKey) != 2 || len(v.Documents) < 1 {
		t.Error("the set lacks what was added")
	}
}

func (v *vectors) mustHaveLocked(t *testing.T) {
	t.Helper()
	v.mustHaveAdded(t)
	if len(v.CompletedKeys) < 1 {
		t.Error("the set lacks completed keys")
	}
}

func (v *vectors) mustHaveRows(t *testing.T) {
	t.Helper()
	v.mustHaveLocked(t)
	if len(v.WholeRecords) < 3 {
		t.Error("the set lacks whole list records")
	}
}

// mustHaveLatest is of sets that are made now.
func (v *vectors) mustHaveLatest(t *testing.T) {
	t.Helper()
	v.mustHaveRows(t)
	if len(v.Envelopes) != 2 {
		t.Error("the set lacks what was added last")
	}
}

func openAdded(t *testing.T, v *vectors) {
	keys := v.bucketKeys()
	for i, k := range v.CustomerKeys {
		got, err := keys.UnwrapCustomerKey(k.Wrap, encrypt.CustomerKey(k.Customer), [16]byte(k.ID), k.Purpose)
		if err != nil || !bytes.Equal(got[:], k.Key) {
			t.Errorf("customer key %d: %v", i, err)
		}
	}
	for i, k := range v.CompletedKeys {
		version, parts := encrypt.SplitCompletedKey(k.Wrap)
		got, err := keys.UnwrapKey(version, [16]byte(k.ID), encrypt.PurposeVersion)
		if err != nil || !bytes.Equal(got[:], k.Key) {
			t.Errorf("completed key %d: %v", i, err)
		}
		got, err = keys.UnwrapCustomerKey(parts, encrypt.CustomerKey(k.Customer), [16]byte(k.Upload), encrypt.PurposeUpload)
		if err != nil || !bytes.Equal(got[:], k.PartsKey) {
			t.Errorf("completed key %d, of the parts: %v", i, err)
		}
	}
	for i, r := range v.UnderListKey {
		var got []byte
		var err error
		switch n := v.name(r.Name, r.Version); r.Kind {
		case "marks":
			got, err = keys.OpenMarks(n, r.Sealed)
		case "setting":
			got, err = keys.OpenSetting(string(r.Name), r.Sealed)
		}
		if err != nil || !bytes.Equal(got, r.Plain) {
			t.Errorf("%s %d: %v", r.Kind, i, err)
		}
	}
	system := encrypt.DeriveSystemKeys(encrypt.Seed(v.Seed), encrypt.Deployment(v.Deployment), v.Generation)
	for i, d := range v.Documents {
		if got, err := system.OpenDocument(d.Kind, d.ID, d.Sealed); err != nil || !bytes.Equal(got, d.Plain) {
			t.Errorf("document %d: %v", i, err)
		}
	}
}

func makeAdded(v *vectors) {
	keys := v.bucketKeys()
	for _, purpose := range []string{encrypt.PurposeVersion, encrypt.PurposeUpload} {
		k := customerVector{ID: random(16), Purpose: purpose, Key: random(32), Customer: random(32)}
		k.Wrap = keys.WrapCustomerKey(encrypt.ObjectKey(k.Key), encrypt.CustomerKey(k.Customer), [16]byte(k.ID), purpose)
		v.CustomerKeys = append(v.CustomerKeys, k)
	}
	c := completedVector{ID: random(16), Upload: random(16), Key: random(32), PartsKey: random(32), Customer: random(32)}
	c.Wrap = keys.WrapCompletedKey(encrypt.ObjectKey(c.Key), [16]byte(c.ID),
		keys.WrapCustomerKey(encrypt.ObjectKey(c.PartsKey), encrypt.CustomerKey(c.Customer), [16]byte(c.Upload), encrypt.PurposeUpload))
	v.CompletedKeys = append(v.CompletedKeys, c)
	for _, kind := range []string{"marks", "setting"} {
		r := underListVector{Kind: kind, Name: random(20), Version: random(16), Plain: random(40)}
		switch n := v.name(r.Name, r.Version); kind {
		case "marks":
			r.Sealed = keys.SealMarks(n, r.Plain)
		case "setting":
			r.Sealed = keys.SealSetting(string(r.Name), r.Plain)
		}
		v.UnderListKey = append(v.UnderListKey, r)
	}
	d := documentVector{Kind: "identity", ID: random(5), Plain: []byte("{}")}
	system := encrypt.DeriveSystemKeys(encrypt.Seed(v.Seed), encrypt.Deployment(v.Deployment), v.Generation)
	d.Sealed = system.SealDocument(d.Kind, d.ID, d.Plain)
	v.Documents = append(v.Documents, d)
}
