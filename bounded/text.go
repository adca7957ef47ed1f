package bounded

const (
	compiledPerByte = 8   // memory of the compiled form for each byte of text
	fixedPart       = 512 // memory of the shortest compiled form
)

// CompiledText is a text that entries may share and compile to the same value.
// The memory of that value is counted from the beginning.
func CompiledText(text string) Part {
	return Part{Text: text, Bytes: len(text) + CompiledBytes(len(text))}
}

// CompiledBytes bounds the memory of the compiled form of n bytes of text.
func CompiledBytes(n int) int { return fixedPart + n*compiledPerByte }

// Swept is the common interface of all caches.
type Swept interface {
	Sweep()     // removes expired entries
	Clear()     // removes all entries
	Bytes() int // the counted memory
}
