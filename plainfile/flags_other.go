//go:build !unix

package plainfile

const noWait, noFollow = 0, 0

func isLink(error) bool { return false }
