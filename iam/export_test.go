package iam

// Actions are the names of all actions.
func Actions() map[string]bool {
	all := make(map[string]bool)
	for name := range actions {
		all[name] = true
	}
	return all
}

// ParseForm and ParseToken are the parsers of what strangers send.
func ParseForm(body []byte) (map[string]string, error) { return parseForm(body) }

func ParseToken(text string) error {
	t, err := parseToken(text)
	if err == nil {
		t.strings()
	}
	return err
}
