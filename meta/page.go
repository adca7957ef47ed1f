package meta

// UnlessLast is the place to go on after a page that was asked for with the limit, which
// counts as MaxPage where it is more; nil after the last page, which has fewer rows.
func UnlessLast(next []byte, rows, limit int) []byte {
	if rows < min(limit, MaxPage) {
		return nil
	}
	return next
}
