//go:build pkcs11

package pkcs11

import (
	"bytes"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt"
)

// maxKeys bounds the keys of one label.
const maxKeys = 256

// ofLabel matches AES keys by their label.
func ofLabel(label string) []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_LABEL, label),
	}
}

// list returns the objects that match.
func (s session) list(match []*p11.Attribute) ([]p11.ObjectHandle, error) {
	if err := s.lib.FindObjectsInit(s.handle, match); err != nil {
		return nil, failure("find a key", err)
	}
	var all []p11.ObjectHandle
	for {
		some, _, err := s.lib.FindObjects(s.handle, maxKeys)
		if err == nil && len(some) > 0 && len(all) <= maxKeys {
			all = append(all, some...)
			continue
		}
		if end := s.lib.FindObjectsFinal(s.handle); err == nil {
			err = end
		}
		if err != nil {
			return nil, failure("find a key", err)
		}
		break
	}
	if len(all) > maxKeys {
		return nil, fmt.Errorf("key: %w: more than %d keys have the label", encrypt.ErrDenied, maxKeys)
	}
	return all, nil
}

// find returns the key with a label and an id.
func (s session) find(label string, id []byte) (p11.ObjectHandle, error) {
	all, err := s.list(append(ofLabel(label), p11.NewAttribute(p11.CKA_ID, id)))
	switch {
	case err != nil:
		return 0, err
	case len(all) == 0:
		return 0, fmt.Errorf("%w: the token has no AES key %q with id %x", encrypt.ErrKeyNotFound, label, id)
	case len(all) > 1:
		return 0, fmt.Errorf("key: %w: the token has %d AES keys %q with id %x", encrypt.ErrDenied, len(all), label, id)
	}
	return all[0], nil
}

// current returns the key of a label that wraps: the one with the highest id, as a number.
func (s session) current(label string) (id []byte, key p11.ObjectHandle, err error) {
	all, err := s.list(ofLabel(label))
	if err != nil {
		return nil, 0, err
	}
	for _, object := range all {
		got, err := s.lib.GetAttributeValue(s.handle, object, []*p11.Attribute{p11.NewAttribute(p11.CKA_ID, nil)})
		if err != nil {
			return nil, 0, failure("read the id of a key", err)
		}
		if len(got) != 1 || len(got[0].Value) == 0 || len(got[0].Value) > maxID {
			return nil, 0, fmt.Errorf("key: %w: an AES key %q has no id of 1 to %d bytes", encrypt.ErrDenied, label, maxID)
		}
		if order := compare(got[0].Value, id); id == nil || order > 0 {
			id, key = got[0].Value, object
		} else if order == 0 {
			return nil, 0, fmt.Errorf("key: %w: two AES keys %q have one id, %x", encrypt.ErrDenied, label, id)
		}
	}
	if id == nil {
		return nil, 0, fmt.Errorf("%w: the token has no AES key %q", encrypt.ErrKeyNotFound, label)
	}
	return id, key, nil
}

// compare compares ids as numbers without a sign.
func compare(a, b []byte) int {
	a, b = bytes.TrimLeft(a, "\x00"), bytes.TrimLeft(b, "\x00")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// secure refuses a key that can leave the token, or is a weak one.
func (s session) secure(key p11.ObjectHandle, name string) error {
	for _, want := range []struct {
		attribute uint
		value     any
		says      string
	}{
		{p11.CKA_TOKEN, true, "goes with its session"},
		{p11.CKA_SENSITIVE, true, "is not sensitive: its value can be read"},
		{p11.CKA_EXTRACTABLE, false, "is extractable: it can leave the token"},
		{p11.CKA_VALUE_LEN, uint(32), "does not have 256 bits"},
	} {
		template := p11.NewAttribute(want.attribute, want.value)
		got, err := s.lib.GetAttributeValue(s.handle, key, []*p11.Attribute{p11.NewAttribute(want.attribute, nil)})
		if err != nil {
			return failure("read the attributes of a key", err)
		}
		if len(got) != 1 || !bytes.Equal(got[0].Value, template.Value) {
			return fmt.Errorf("key: %w: %s %s", encrypt.ErrDenied, name, want.says)
		}
	}
	return nil
}
