package inventory

// LastWritten is the bucket of the list that was written last.
func LastWritten(s *Steps) string { return s.round.wrote }
