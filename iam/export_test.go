package iam

// Actions are the names of all actions.
func Actions() map[string]bool {
	all := make(map[string]bool)
	for name := range actions {
		all[name] = true
	}
	return all
}
