package accounts

import "github.com/sanctum-storage/gateway/meta"

// ForgetHolders has whom credentials are of read anew.
func ForgetHolders(a *Accounts) { a.holders.DropIf(func(meta.ID, holder) bool { return true }) }
