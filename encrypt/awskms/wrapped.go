package awskms

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
)

const (
	wrappedVersion = 1
	// wrappedPrefix is the length of the version and of the name's length.
	wrappedPrefix = 1 + 2
	// sumSize is the length of the checksum at the end.
	sumSize = 8
	// maxCiphertext bounds what KMS returns for a secret, in bytes: the limit of Decrypt's
	// CiphertextBlob.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
	maxCiphertext = 6144
)

// keyARN is the ARN of a KMS key.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
var keyARN = regexp.MustCompile(`^arn:(aws[a-z-]{0,20}):kms:([a-z0-9-]{1,64}):([0-9]{12}):key/([A-Za-z0-9-]{1,128})$`)

// keyName is the name of a key as wraps have it: its ARN. That of a multi-Region key has no
// region, because the keys with that id in all regions are one key: they open what any of
// them wrapped. So it has one name wherever it is asked.
var keyName = regexp.MustCompile(`^arn:(aws[a-z-]{0,20}):kms:([a-z0-9-]{0,64}):([0-9]{12}):key/([A-Za-z0-9-]{1,128})$`)

// multiRegion begins the ids of multi-Region keys, and of no others.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
const multiRegion = "mrk-"

// key is a KMS key.
type key struct {
	partition string
	region    string // empty for a multi-Region key
	account   string
	id        string
}

// keyOf reads a key's ARN.
func keyOf(arn string) (key, bool) {
	part := keyARN.FindStringSubmatch(arn)
	if part == nil {
		return key{}, false
	}
	k := key{part[1], part[2], part[3], part[4]}
	if strings.HasPrefix(k.id, multiRegion) {
		k.region = ""
	}
	return k, true
}

// named reads a key's name. A key has one name.
func named(name string) (key, bool) {
	part := keyName.FindStringSubmatch(name)
	if part == nil || (part[2] == "") != strings.HasPrefix(part[4], multiRegion) {
		return key{}, false
	}
	return key{part[1], part[2], part[3], part[4]}, true
}

// name returns the key's name.
func (k key) name() string { return k.arn(k.region) }

// arn returns the key's ARN in a region.
func (k key) arn(region string) string {
	return fmt.Sprintf("arn:%s:kms:%s:%s:key/%s", k.partition, region, k.account, k.id)
}

// seal makes a result of Wrap from what KMS returned for a key.
func seal(k key, ciphertext []byte) []byte {
	name := k.name()
	out := binary.BigEndian.AppendUint16([]byte{wrappedVersion}, uint16(len(name)))
	out = append(append(out, name...), ciphertext...)
	return append(out, checksum(out)...)
}

// unseal reads a result of Wrap. The checksum finds damage without a request: KMS would
// report a damaged name as a missing permission, and a damaged ciphertext as a wrong
// context. It does not protect against an adversary; KMS does.
func unseal(wrapped []byte) (k key, ciphertext []byte, err error) {
	if len(wrapped) < wrappedPrefix+sumSize || wrapped[0] != wrappedVersion {
		return k, nil, fmt.Errorf("not wrapped by AWS KMS: %w", encrypt.ErrCorrupt)
	}
	body, sum := wrapped[:len(wrapped)-sumSize], wrapped[len(wrapped)-sumSize:]
	if string(checksum(body)) != string(sum) {
		return k, nil, fmt.Errorf("a wrapped secret is damaged: %w", encrypt.ErrCorrupt)
	}
	length, rest := int(binary.BigEndian.Uint16(body[1:])), body[wrappedPrefix:]
	if length > len(rest) || length > encrypt.MaxKeyID {
		return k, nil, fmt.Errorf("the name of the key is too long: %w", encrypt.ErrCorrupt)
	}
	k, ok := named(string(rest[:length]))
	if !ok {
		return k, nil, fmt.Errorf("the name of the key is no ARN: %w", encrypt.ErrCorrupt)
	}
	if ciphertext = rest[length:]; len(ciphertext) == 0 || len(ciphertext) > maxCiphertext {
		return k, nil, fmt.Errorf("%d bytes are no ciphertext of AWS KMS: %w", len(ciphertext), encrypt.ErrCorrupt)
	}
	return k, ciphertext, nil
}

func checksum(body []byte) []byte {
	sum := sha256.Sum256(body)
	return sum[:sumSize]
}
