package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMarks(t *testing.T) {
	seed, n := NewSeed(), testName()
	keys := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5)
	for _, want := range []string{`{"tags":[]}`, ""} {
		sealed := keys.SealMarks(n, []byte(want))
		if got, err := keys.OpenMarks(n, sealed); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
		if g, err := MarksGeneration(sealed); g != 5 || err != nil {
			t.Fatal(g, err)
		}
		if bytes.Equal(sealed, keys.SealMarks(n, []byte(want))) {
			t.Error("sealed twice the same")
		}
		for what, other := range otherNames() {
			if _, err := keys.OpenMarks(other, sealed); !errors.Is(err, ErrCorrupt) {
				t.Errorf("of another %s: %v", what, err)
			}
		}
		if _, err := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 6).OpenMarks(n, sealed); !errors.Is(err, ErrWrongKey) {
			t.Errorf("of another generation: %v", err)
		}
		if _, err := keys.OpenListRecord(n, sealed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("open as a list record: %v", err)
		}
		mutations(sealed, func(what string, bad []byte) {
			if _, err := keys.OpenMarks(n, bad); !refused(err) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	seed, n := NewSeed(), testName()
	keys := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5)
	sealed := keys.SealSetting("policy", []byte("{}"))
	if got, err := keys.OpenSetting("policy", sealed); err != nil || string(got) != "{}" {
		t.Fatal(string(got), err)
	}
	if _, err := keys.OpenSetting("polic", sealed); !errors.Is(err, ErrCorrupt) {
		t.Errorf("under another name: %v", err)
	}
	for what, other := range map[string]*BucketKeys{
		"bucket": DeriveBucketKeys(seed, n.Deployment, [16]byte{9}, 5), "deployment": DeriveBucketKeys(seed, Deployment{9}, n.Bucket, 5),
		"generation": DeriveBucketKeys(seed, n.Deployment, n.Bucket, 6),
	} {
		if _, err := other.OpenSetting("policy", sealed); !refused(err) {
			t.Errorf("of another %s: %v", what, err)
		}
	}
	mutations(sealed, func(what string, bad []byte) {
		if _, err := keys.OpenSetting("policy", bad); !refused(err) {
			t.Errorf("%s: %v", what, err)
		}
	})
}

func TestDocuments(t *testing.T) {
	seed := NewSeed()
	keys := DeriveSystemKeys(seed, Deployment{1}, 2)
	id, document := []byte("0123456789abcdef"), []byte(`{"policies":[]}`)
	sealed := keys.SealDocument("identity", id, document)
	if got, err := keys.OpenDocument("identity", id, sealed); err != nil || !bytes.Equal(got, document) {
		t.Fatal(string(got), err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"kind":   func() ([]byte, error) { return keys.OpenDocument("limits", id, sealed) },
		"id":     func() ([]byte, error) { return keys.OpenDocument("identity", id[1:], sealed) },
		"border": func() ([]byte, error) { return keys.OpenDocument("identity0", id[1:], sealed) },
		"secret": func() ([]byte, error) { return keys.UnwrapSecret("identity", string(id), sealed) },
		"deployment": func() ([]byte, error) {
			return DeriveSystemKeys(seed, Deployment{2}, 2).OpenDocument("identity", id, sealed)
		},
		"generation": func() ([]byte, error) {
			return DeriveSystemKeys(seed, Deployment{1}, 3).OpenDocument("identity", id, sealed)
		},
	} {
		if _, err := open(); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	mutations(sealed, func(what string, bad []byte) {
		if _, err := keys.OpenDocument("identity", id, bad); !refused(err) {
			t.Errorf("%s: %v", what, err)
		}
	})
}

// Both keys are needed, each failing in its own way: the client is told of its
// own mistake and of no other.
func TestCustomerKey(t *testing.T) {
	seed, n := NewSeed(), testName()
	keys := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5)
	k, customer := NewObjectKey(), CustomerKey(NewSeed())
	wrap := keys.WrapCustomerKey(k, customer, n.Version, PurposeVersion)
	if got, err := keys.UnwrapCustomerKey(wrap, customer, n.Version, PurposeVersion); err != nil || got != k {
		t.Fatal("does not unwrap", err)
	}
	other := customer
	other[31] ^= 1
	if _, err := keys.UnwrapCustomerKey(wrap, other, n.Version, PurposeVersion); !errors.Is(err, ErrWrongCustomerKey) {
		t.Errorf("another customer key: %v", err)
	}
	for what, unwrap := range map[string]func() (ObjectKey, error){
		"seed": func() (ObjectKey, error) {
			return DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5).UnwrapCustomerKey(wrap, customer, n.Version, PurposeVersion)
		},
		"bucket": func() (ObjectKey, error) {
			return DeriveBucketKeys(seed, n.Deployment, [16]byte{9}, 5).UnwrapCustomerKey(wrap, customer, n.Version, PurposeVersion)
		},
		"generation": func() (ObjectKey, error) {
			return DeriveBucketKeys(seed, n.Deployment, n.Bucket, 6).UnwrapCustomerKey(wrap, customer, n.Version, PurposeVersion)
		},
		"version": func() (ObjectKey, error) {
			return keys.UnwrapCustomerKey(wrap, customer, [16]byte{8}, PurposeVersion)
		},
		"purpose": func() (ObjectKey, error) { return keys.UnwrapCustomerKey(wrap, customer, n.Version, PurposeUpload) },
		"kind":    func() (ObjectKey, error) { return keys.UnwrapKey(wrap, n.Version, PurposeVersion) },
		"managed wrap": func() (ObjectKey, error) {
			return keys.UnwrapCustomerKey(keys.WrapKey(k, n.Version, PurposeVersion), customer, n.Version, PurposeVersion)
		},
	} {
		if _, err := unwrap(); !errors.Is(err, ErrWrongKey) || errors.Is(err, ErrWrongCustomerKey) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	mutations(wrap, func(what string, bad []byte) {
		if _, err := keys.UnwrapCustomerKey(bad, customer, n.Version, PurposeVersion); !refused(err) || errors.Is(err, ErrWrongCustomerKey) {
			t.Errorf("%s: %v", what, err)
		}
	})
	if out := fmt.Sprintf("%v %x %s %+v", customer, customer, customer, []CustomerKey{customer}); strings.Contains(out, fmt.Sprintf("%x", customer[:4])) {
		t.Errorf("prints as %q", out)
	}
}

func TestUploadKeys(t *testing.T) {
	n := testName()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	settings, parts, customer := NewObjectKey(), NewObjectKey(), CustomerKey(NewSeed())

	first, second := SplitUploadKeys(keys.WrapKey(settings, n.Version, PurposeUpload))
	if got, err := keys.UnwrapKey(first, n.Version, PurposeUpload); err != nil || got != settings || second != nil {
		t.Errorf("an upload with one key: %v", err)
	}
	first, second = SplitUploadKeys(keys.WrapUploadKeys(settings, parts, customer, n.Version))
	if got, err := keys.UnwrapKey(first, n.Version, PurposeUpload); err != nil || got != settings {
		t.Errorf("the settings' key: %v", err)
	}
	if got, err := keys.UnwrapCustomerKey(second, customer, n.Version, PurposeUpload); err != nil || got != parts {
		t.Errorf("the parts' key: %v", err)
	}
	if _, err := keys.UnwrapKey(second, n.Version, PurposeUpload); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the parts' key without the customer: %v", err)
	}
}

func TestCompletedKey(t *testing.T) {
	n := testName()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	object, parts, customer, upload := NewObjectKey(), NewObjectKey(), CustomerKey(NewSeed()), [16]byte{7}
	_, taken := SplitUploadKeys(keys.WrapUploadKeys(NewObjectKey(), parts, customer, upload))

	version, rest := SplitCompletedKey(keys.WrapCompletedKey(object, n.Version, taken))
	if got, err := keys.UnwrapKey(version, n.Version, PurposeVersion); err != nil || got != object {
		t.Errorf("the version's key: %v", err)
	}
	if got, err := keys.UnwrapCustomerKey(rest, customer, upload, PurposeUpload); err != nil || got != parts {
		t.Errorf("the parts' key: %v", err)
	}
	if _, err := keys.UnwrapCustomerKey(rest, customer, n.Version, PurposeUpload); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the parts' key of another upload: %v", err)
	}
	for what, wrap := range map[string][]byte{
		"managed": keys.WrapKey(object, n.Version, PurposeVersion), "customer": keys.WrapCustomerKey(object, customer, n.Version, PurposeVersion), "none": nil,
	} {
		if whole, rest := SplitCompletedKey(wrap); !bytes.Equal(whole, wrap) || rest != nil {
			t.Errorf("a %s wrap was taken apart", what)
		}
	}
}
