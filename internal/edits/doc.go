// Package edits edits a store as somebody would who may write there, row by row and
// column by column, and tests that the gateway notices, answers as before, or that
// the edit is among those that it is known not to notice. It is for tests only.
package edits
