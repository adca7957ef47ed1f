package iam

// Actions returns the names of all actions.
func Actions() map[string]bool {
	all := make(map[string]bool)
	for name := range actions {
		all[name] = true
	}
	return all
}

// Honours returns the parameters of an action, with N for the numbers of a
// list.
func Honours(action string) []string { return parameters[action] }

// ParseForm and ParseToken parse data from strangers.
func ParseForm(body []byte) (map[string]string, error) { return parseForm(body) }

func ParseToken(text string) error {
	t, err := parseToken(text)
	if err == nil {
		t.strings()
	}
	return err
}
