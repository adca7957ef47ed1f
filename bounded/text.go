package bounded

const (
	compiledPerByte = 8   // what is made of a text takes, for a byte of it
	fixedPart       = 512 // what is made of the shortest takes
)

// CompiledText is a text which entries may share, and of which each makes the same
// value. What will be made of it counts from the beginning.
func CompiledText(text string) Part {
	return Part{Text: text, Bytes: len(text) + CompiledBytes(len(text))}
}

// CompiledBytes is how many bytes is made of a text of n bytes, at most.
func CompiledBytes(n int) int { return fixedPart + n*compiledPerByte }

// Swept is what all caches have in common.
type Swept interface {
	Sweep()     // forgets what has expired
	Bytes() int // what is held takes
}
