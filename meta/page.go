package meta

// UnlessLast returns next unless the page was the last one, which has fewer rows
// than asked for: then it returns nil. A limit above MaxPage counts as MaxPage.
func UnlessLast(next []byte, rows, limit int) []byte {
	if rows < min(limit, MaxPage) {
		return nil
	}
	return next
}
