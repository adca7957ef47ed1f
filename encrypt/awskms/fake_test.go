package awskms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// fake is KMS of one account in one region, after the documented requests, answers and
// error texts. Keys of a multi-Region set are the same pointer in two fakes.
//
// https://docs.aws.amazon.com/kms/latest/APIReference/
type fake struct {
	url, region, account string
	alias                string // key id that alias/seeds names

	mu       sync.Mutex
	keys     map[string]*fakeKey
	fault    keytest.Fault
	override func(operation string, answer map[string]any) (status int, body any) // nil: none
	calls    int
	contexts []map[string]string
	access   []string // access keys of the requests

	logins   int  // requests for a credential since the last call of Logins
	unlucky  bool // such requests are refused
	given    int  // credentials given
	revoked  int  // those up to this number are refused
	refusing bool // and all others too
}

// fakeKey is a key with its material.
type fakeKey struct{ sealing cipher.AEAD }

const (
	fakeRegion  = "eu-central-2"
	fakeAccount = "111122223333"
)

func newFakeKey() *fakeKey {
	var material [32]byte
	rand.Read(material[:])
	block, err := aes.NewCipher(material[:])
	if err != nil {
		panic(err)
	}
	sealing, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &fakeKey{sealing}
}

// newFake starts a service with one key, which alias/seeds names.
func newFake(t *testing.T, region string) *fake {
	f := inMemory(region)
	s := httptest.NewServer(f)
	f.url = s.URL
	t.Cleanup(s.Close)
	return f
}

// inMemory is newFake without a listener.
func inMemory(region string) *fake {
	f := &fake{region: region, account: fakeAccount, keys: map[string]*fakeKey{}}
	f.Rotate()
	return f
}

// Rotate implements keytest.Service: the alias names another key.
func (f *fake) Rotate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alias = strings.ToLower(rand.Text())
	f.keys[f.alias] = newFakeKey()
}

// Set implements keytest.Service.
func (f *fake) Set(fault keytest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Calls implements keytest.Service.
func (f *fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

// Words implements keytest.Service.
func (f *fake) Words(fault keytest.Fault) []string {
	switch fault {
	case keytest.Denied:
		return []string{"credentials: ", "kms:Encrypt", "alias/seeds"}
	case keytest.Disabled, keytest.PendingDeletion, keytest.Deleted:
		return []string{"key: ", "alias/seeds"}
	}
	return nil
}

func (f *fake) arn(id string) string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", f.region, f.account, id)
}

// fakeRequest has the fields of the three requests.
type fakeRequest struct {
	KeyId, SourceKeyId, DestinationKeyId                                     string
	EncryptionContext, SourceEncryptionContext, DestinationEncryptionContext map[string]string
	Plaintext, CiphertextBlob                                                []byte
}

var credentialOf = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/[0-9]{8}/([a-z0-9-]+)/kms/aws4_request, SignedHeaders=[a-z0-9;-]*x-amz-target, Signature=[0-9a-f]{64}$`)

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	signed := credentialOf.FindStringSubmatch(r.Header.Get("Authorization"))
	if !ok || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || signed == nil || signed[2] != f.region {
		refuse(w, 400, "IncompleteSignature", "want a signed request of JSON 1.1")
		return
	}
	f.mu.Lock()
	f.calls++
	f.access = append(f.access, signed[1])
	fault, override := f.fault, f.override
	f.mu.Unlock()
	if f.fails(w, r, fault, string(body)) {
		return
	}
	var in fakeRequest
	if err := json.Unmarshal(body, &in); err != nil {
		refuse(w, 400, "SerializationException", "")
		return
	}
	f.mu.Lock()
	answer, code, text := f.answer(operation, in)
	f.mu.Unlock()
	if override != nil {
		status, other := override(operation, answer)
		send(w, status, other)
		return
	}
	if code != "" {
		refuse(w, 400, code, text)
		return
	}
	send(w, 200, answer)
}

func send(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "7d9a4e9c-0000-4000-8000-000000000000")
	w.WriteHeader(status)
	if text, ok := answer.(string); ok {
		io.WriteString(w, text)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	send(w, status, map[string]string{"__type": code, "message": text})
}

// fails answers as the fault demands. Texts repeat what was sent, which no error may.
func (f *fake) fails(w http.ResponseWriter, r *http.Request, fault keytest.Fault, body string) bool {
	switch fault {
	case keytest.Works:
		return false
	case keytest.Slow:
		<-r.Context().Done()
	case keytest.Throttled:
		refuse(w, 400, "ThrottlingException", "You have exceeded the rate at which you may call KMS. "+body)
	case keytest.Down:
		send(w, 503, "<html>Service Unavailable "+body)
	case keytest.Denied:
		refuse(w, 400, "AccessDeniedException", "User: arn:aws:iam::111122223333:user/a is not authorized to perform: kms:Encrypt on resource: "+body)
	case keytest.Malformed:
		send(w, 200, body)
	case keytest.Endless:
		for chunk := bytes.Repeat([]byte(" "), 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
	case keytest.Disabled:
		refuse(w, 400, "DisabledException", f.arn(f.alias)+" is disabled.")
	case keytest.PendingDeletion:
		refuse(w, 400, "KMSInvalidStateException", f.arn(f.alias)+" is pending deletion.")
	case keytest.Deleted:
		refuse(w, 400, "NotFoundException", "Key '"+f.arn(f.alias)+"' does not exist")
	default:
		panic(fmt.Sprintf("unknown fault %d", fault))
	}
	return true
}

// answer carries out an operation, or returns a code of an error with its text.
func (f *fake) answer(operation string, in fakeRequest) (answer map[string]any, code, text string) {
	switch operation {
	case "Encrypt":
		id, code, text := f.find(in.KeyId)
		if code != "" {
			return nil, code, text
		}
		f.contexts = append(f.contexts, in.EncryptionContext)
		return map[string]any{"KeyId": f.arn(id), "CiphertextBlob": f.seal(id, in.EncryptionContext, in.Plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, "", ""
	case "Decrypt":
		id, plain, code, text := f.open(in.KeyId, in.EncryptionContext, in.CiphertextBlob)
		return map[string]any{"KeyId": f.arn(id), "Plaintext": plain, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, code, text
	case "ReEncrypt":
		id, plain, code, text := f.open(in.SourceKeyId, in.SourceEncryptionContext, in.CiphertextBlob)
		if code != "" {
			return nil, code, text
		}
		to, code, text := f.find(in.DestinationKeyId)
		if code != "" {
			return nil, code, text
		}
		return map[string]any{"KeyId": f.arn(to), "SourceKeyId": f.arn(id), "CiphertextBlob": f.seal(to, in.DestinationEncryptionContext, plain)}, "", ""
	}
	return nil, "UnknownOperationException", ""
}

// find returns the id of the key that a request names.
func (f *fake) find(name string) (id, code, text string) {
	if name == "alias/seeds" || name == fmt.Sprintf("arn:aws:kms:%s:%s:alias/seeds", f.region, f.account) {
		return f.alias, "", ""
	}
	id = name
	if strings.HasPrefix(name, "arn:") {
		part := strings.Split(name, ":")
		if part[3] != f.region {
			return "", "NotFoundException", "Invalid arn " + part[3]
		}
		if part[4] != f.account {
			return "", "AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
		}
		id = strings.TrimPrefix(part[5], "key/")
	}
	if f.keys[id] == nil {
		return "", "NotFoundException", "Key '" + f.arn(id) + "' does not exist"
	}
	return id, "", ""
}

// bound is the encryption context as additional data.
func bound(context map[string]string) []byte {
	text, err := json.Marshal(context) // sorts by name
	if err != nil {
		panic(err)
	}
	return text
}

func (f *fake) seal(id string, context map[string]string, plain []byte) []byte {
	return append(append([]byte{byte(len(id))}, id...), f.keys[id].sealing.Seal(nil, nil, plain, bound(context))...)
}

func (f *fake) open(name string, context map[string]string, blob []byte) (id string, plain []byte, code, text string) {
	if id, code, text = f.find(name); code != "" {
		return "", nil, code, text
	}
	if len(blob) < 1 || len(blob) < 1+int(blob[0]) {
		return "", nil, "InvalidCiphertextException", ""
	}
	n := 1 + int(blob[0])
	if string(blob[1:n]) != id {
		return "", nil, "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."
	}
	plain, err := f.keys[id].sealing.Open(nil, nil, blob[n:], bound(context))
	if err != nil {
		return "", nil, "InvalidCiphertextException", ""
	}
	return id, plain, "", ""
}

// seen returns the access keys of the requests so far, once each.
func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Compact(slices.Clone(f.access))
}
