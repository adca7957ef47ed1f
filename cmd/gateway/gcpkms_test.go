package main

import (
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/gcpkmsfake"
)

// kmsFaults are the words of gcpkms for faults.
var kmsFaults = map[string]keytest.Fault{
	"works": keytest.Works, "down": keytest.Down, "denied": keytest.Denied, "disabled": keytest.Disabled, "deleted": keytest.Deleted,
}

// kms is a script's fake, and kmsKey its key in the script's values.
type (
	kms    struct{ *gcpkmsfake.Fake }
	kmsKey struct{}
)

// gcpkms start: start a fake of Google Cloud KMS, write credentials.json, and set KMS to
// its URL, KMSKEY to its key and DECRYPT to the decryptor's folder. gcpkms token: set
// GOOGLE_ACCESS_TOKEN. gcpkms rotate: give the key another primary version. gcpkms FAULT.
func cmdGCPKMS(ts *testscript.TestScript, neg bool, args []string) {
	k := ts.Value(kmsKey{}).(*kms)
	if args[0] == "start" {
		decrypt, err := filepath.Abs("../../scripts/decrypt")
		ts.Check(err)
		k.Fake = gcpkmsfake.New()
		ts.Defer(k.Close)
		ts.Check(k.WriteCredentials(ts.MkAbs("credentials.json")))
		ts.Setenv("KMS", k.URL)
		ts.Setenv("CLOUDKMS_ENDPOINT", k.URL)
		ts.Setenv("KMSKEY", gcpkmsfake.Key)
		ts.Setenv("DECRYPT", decrypt)
		return
	}
	switch fault, ok := kmsFaults[args[0]]; {
	case args[0] == "rotate":
		k.Rotate()
	case args[0] == "token":
		ts.Setenv("GOOGLE_ACCESS_TOKEN", k.Token())
	case ok:
		k.Set(fault)
	default:
		ts.Fatalf("gcpkms %s: unknown", args[0])
	}
}
