package accounts

import "github.com/sanctum-storage/gateway/meta"

// ForgetHolders makes the next request of each holder read it from the store.
func ForgetHolders(a *Accounts) { a.holders.DropIf(func(meta.ID, holder) bool { return true }) }
