//go:build pkcs11

package pkcs11

import (
	"errors"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/sanctum-storage/gateway/encrypt"
)

var (
	// errLogin is in every error of a login.
	errLogin = errors.New("login")
	// errToken is in every error about the token as a whole.
	errToken = errors.New("token")
)

// code is the library's return value; 0: there is none in err.
func code(err error) p11.Error {
	var e p11.Error
	errors.As(err, &e)
	return e
}

// vague reports whether a failed decryption may be that of a wrong key or context.
// SoftHSM says CKR_GENERAL_ERROR.
func vague(err error) bool {
	switch code(err) {
	case p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, p11.CKR_DATA_INVALID, p11.CKR_GENERAL_ERROR,
		p11.CKR_FUNCTION_FAILED, p11.CKR_DEVICE_ERROR, p11.CKR_SIGNATURE_INVALID:
		return true
	}
	return false
}

// isLost reports whether a session, its login or its token is gone, so that a new one may
// succeed.
func isLost(err error) bool {
	switch code(err) {
	case p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_DEVICE_REMOVED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED,
		p11.CKR_SLOT_ID_INVALID, p11.CKR_USER_NOT_LOGGED_IN, p11.CKR_KEY_HANDLE_INVALID, p11.CKR_OBJECT_HANDLE_INVALID,
		p11.CKR_DEVICE_ERROR, p11.CKR_OPERATION_ACTIVE:
		return true
	}
	return false
}

// isPIN reports whether a login failed for its PIN. To try such a PIN again may lock the
// token.
func isPIN(err error) bool {
	switch code(err) {
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED,
		p11.CKR_USER_PIN_NOT_INITIALIZED:
		return true
	}
	return false
}

// failure is the contract's error of a call of the library. The library's code stays in it.
func failure(what string, err error) error {
	kind := encrypt.ErrUnavailable
	switch code(err) {
	case p11.CKR_KEY_FUNCTION_NOT_PERMITTED:
		kind = encrypt.ErrKeyDisabled
	case p11.CKR_ACTION_PROHIBITED, p11.CKR_USER_NOT_LOGGED_IN:
		kind = encrypt.ErrDenied
	}
	if isPIN(err) {
		kind = encrypt.ErrDenied
	}
	return fmt.Errorf("%w: %s: %w", kind, what, err)
}

// named gives Check's error the name of the setting to look at.
func named(err error) error {
	switch {
	case err == nil || strings.HasPrefix(err.Error(), "key: "):
		return err
	case errors.Is(err, errLogin):
		return fmt.Errorf("pin_path: %w", err)
	case errors.Is(err, encrypt.ErrKeyDisabled), errors.Is(err, encrypt.ErrKeyNotFound), errors.Is(err, encrypt.ErrDenied), errors.Is(err, encrypt.ErrWrongKey):
		return fmt.Errorf("key: %w", err)
	case errors.Is(err, errToken):
		return fmt.Errorf("token_label: %w", err)
	}
	return fmt.Errorf("module: %w", err)
}
