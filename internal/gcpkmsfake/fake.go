// Package gcpkmsfake is Cloud KMS with one key, and the token endpoint of its project.
// Requests, answers and the texts of errors are those that Google documents, or that users
// of the service quote. It enforces the equality of additional authenticated data.
package gcpkmsfake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// Key is the resource name of the key.
const Key = "projects/acme/locations/europe-west1/keyRings/gateway/cryptoKeys/seeds"

// tokenLife is how long a token is good.
const tokenLife = time.Hour

// Fake is the service. It is safe for concurrent use.
type Fake struct {
	*httptest.Server
	mu       sync.Mutex
	versions []cipher.AEAD // of the key; the last one is the primary version
	fault    keytest.Fault
	calls    int
	issued   int  // tokens
	logins   int  // requests for tokens since the last call of Logins
	unlucky  bool // such requests are refused
	revoked  int  // tokens up to this number are refused
	refusing bool // and all others too
	instead  http.HandlerFunc
	twist    func(answer map[string]any)
	quit     chan struct{}
}

var _ keytest.Logins = (*Fake)(nil)

// New starts the service. The caller calls Close.
func New() *Fake {
	f := NewInMemory()
	f.Server = httptest.NewServer(f)
	return f
}

// NewInMemory returns the service as a handler alone, without a listener.
func NewInMemory() *Fake {
	f := &Fake{Server: &httptest.Server{URL: "http://127.0.0.1"}, quit: make(chan struct{})}
	f.Rotate()
	return f
}

// Close ends the service and the answers in progress.
func (f *Fake) Close() {
	close(f.quit)
	f.Server.Close()
}

// WriteCredentials writes a credentials file, a user's, whose tokens the service takes.
func (f *Fake) WriteCredentials(name string) error {
	text := fmt.Sprintf(`{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"hush","token_uri":%q}`, f.URL+"/token")
	return os.WriteFile(name, []byte(text), 0o600)
}

// Instead has h answer in place of the API; nil: nothing does.
func (f *Fake) Instead(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead = h
}

// Twist has change change each answer of success before it is sent; nil: nothing does.
func (f *Fake) Twist(change func(answer map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.twist = change
}

// Revoke implements keytest.Logins.
func (f *Fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked = f.issued
}

// Token returns the token that the service takes now.
func (f *Fake) Token() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return tokenOf(f.issued)
}

func tokenOf(n int) string { return fmt.Sprintf("ya29.hush-%d", n) }

// Issued returns how many tokens were fetched.
func (f *Fake) Issued() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.issued
}

// Logins implements keytest.Logins.
func (f *Fake) Logins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.logins
	f.logins = 0
	return n
}

// RefuseLogins implements keytest.Logins.
func (f *Fake) RefuseLogins(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unlucky = refuse
}

// RefuseAll implements keytest.Logins.
func (f *Fake) RefuseAll(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusing = refuse
}

// Life implements keytest.Logins.
func (f *Fake) Life() time.Duration { return tokenLife }

// Sum returns the CRC32C as the API writes it.
func Sum(b []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10)
}

// Set implements keytest.Service.
func (f *Fake) Set(fault keytest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Calls implements keytest.Service.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

// Rotate implements keytest.Service: the key has another primary version.
func (f *Fake) Rotate() {
	var key [32]byte
	rand.Read(key[:])
	block, _ := aes.NewCipher(key[:])
	aead, _ := cipher.NewGCMWithRandomNonce(block) // the one that FIPS mode approves
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions = append(f.versions, aead)
}

// Words implements keytest.Service.
func (f *Fake) Words(fault keytest.Fault) []string {
	switch fault {
	case keytest.Denied:
		return []string{"key: ", "cloudkms.cryptoKeyVersions.useToEncrypt", Key}
	case keytest.Disabled, keytest.Deleted, keytest.PendingDeletion:
		return []string{"key: "}
	}
	return []string{"endpoint: "}
}

// refuse answers with an error of the API.
func refuse(w http.ResponseWriter, status int, name, message string, details ...any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message, "status": name, "details": details}})
}

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	fault, instead := f.fault, f.instead
	if r.URL.Path == "/token" {
		defer f.mu.Unlock()
		f.logIn(w)
		return
	}
	f.calls++
	good := r.Header.Get("Authorization") == "Bearer "+tokenOf(f.issued) && f.issued > f.revoked && !f.refusing
	f.mu.Unlock()
	switch {
	case instead != nil:
		instead(w, r)
	case !good:
		refuse(w, 401, "UNAUTHENTICATED", "Request had invalid authentication credentials: "+r.Header.Get("Authorization"))
	case !f.fails(w, r, fault, body):
		f.answer(w, r, body)
	}
}

// logIn answers with a new token. The caller holds mu.
func (f *Fake) logIn(w http.ResponseWriter) {
	f.logins++
	w.Header().Set("Content-Type", "application/json")
	if f.unlucky {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`)
		return
	}
	f.issued++
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, tokenOf(f.issued), tokenLife/time.Second)
}

// fails answers as a fault makes the service answer, and reports whether there is one.
func (f *Fake) fails(w http.ResponseWriter, r *http.Request, fault keytest.Fault, body []byte) bool {
	version := Key + "/cryptoKeyVersions/1"
	state := func(state string) {
		refuse(w, 400, "FAILED_PRECONDITION", version+" is not enabled, current state is: "+state+".", map[string]any{
			"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": []any{map[string]any{"type": "KEY_" + state, "subject": version}}})
	}
	permission := "cloudkms.cryptoKeyVersions.useToEncrypt"
	if strings.HasSuffix(r.URL.Path, ":decrypt") {
		permission = "cloudkms.cryptoKeyVersions.useToDecrypt"
	}
	switch fault {
	case keytest.Works:
		return false
	case keytest.Slow:
		select {
		case <-r.Context().Done():
		case <-f.quit:
		}
	case keytest.Throttled:
		refuse(w, 429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'", map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"})
	case keytest.Down:
		refuse(w, 503, "UNAVAILABLE", "The service is currently unavailable: "+string(body))
	case keytest.Denied:
		refuse(w, 403, "PERMISSION_DENIED", fmt.Sprintf("Permission '%s' denied on resource '%s' (or it may not exist).", permission, Key))
	case keytest.Malformed:
		fmt.Fprintf(w, `{"name":%q,"echo":%q}`, version, body)
	case keytest.Endless:
		for err := error(nil); err == nil; {
			_, err = io.WriteString(w, strings.Repeat(`{"name":`, 4096))
		}
	case keytest.Disabled:
		state("DISABLED")
	case keytest.PendingDeletion:
		state("DESTROY_SCHEDULED")
	case keytest.Deleted:
		state("DESTROYED")
	}
	return true
}

// differs reports whether the sum of a field is given and wrong: sums are optional.
func differs(sum string, field []byte) bool { return sum != "" && sum != Sum(field) }

// answer is the service without a fault.
func (f *Fake) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	name, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), ":")
	var asked struct {
		Plaintext, Ciphertext, AdditionalAuthenticatedData                   []byte
		PlaintextCrc32c, CiphertextCrc32c, AdditionalAuthenticatedDataCrc32c string
	}
	if r.Method != http.MethodPost || json.Unmarshal(body, &asked) != nil {
		refuse(w, 400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
		return
	}
	f.mu.Lock()
	versions, twist := f.versions, f.twist
	f.mu.Unlock()
	key, pinned, _ := strings.Cut(name, "/cryptoKeyVersions/")
	aad := asked.AdditionalAuthenticatedData
	switch {
	case key != Key:
		refuse(w, 404, "NOT_FOUND", "CryptoKey "+name+" not found.")
		return
	case differs(asked.AdditionalAuthenticatedDataCrc32c, aad), differs(asked.PlaintextCrc32c, asked.Plaintext), differs(asked.CiphertextCrc32c, asked.Ciphertext):
		refuse(w, 400, "INVALID_ARGUMENT", "The CRC32C of a field does not match.")
		return
	}
	out := map[string]any{"protectionLevel": "SOFTWARE"}
	if verb == "encrypt" {
		n := len(versions)
		if pinned != "" {
			fmt.Sscan(pinned, &n)
		}
		ciphertext := versions[n-1].Seal([]byte{byte(n)}, nil, asked.Plaintext, aad)
		out["name"], out["ciphertext"], out["ciphertextCrc32c"] = fmt.Sprintf("%s/cryptoKeyVersions/%d", Key, n), ciphertext, Sum(ciphertext)
		out["verifiedPlaintextCrc32c"], out["verifiedAdditionalAuthenticatedDataCrc32c"] = asked.PlaintextCrc32c != "", asked.AdditionalAuthenticatedDataCrc32c != ""
	} else {
		c := asked.Ciphertext
		n := 0
		if len(c) > 0 {
			n = int(c[0])
		}
		if n < 1 || n > len(versions) {
			refuse(w, 400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
			return
		}
		plaintext, err := versions[n-1].Open(nil, nil, c[1:], aad)
		if err != nil {
			refuse(w, 400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
			return
		}
		out["plaintext"], out["plaintextCrc32c"], out["usedPrimary"] = plaintext, Sum(plaintext), n == len(versions)
	}
	if twist != nil {
		twist(out)
	}
	answer := &bytes.Buffer{}
	json.NewEncoder(answer).Encode(out)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Write(answer.Bytes())
}
