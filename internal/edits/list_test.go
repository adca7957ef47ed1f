package edits

// List is everything in the store's clear columns that is not bound to what is
// sealed, with what an edit of it can do at most, and why it is so. A new column is
// bound, or it is here.
var List = []Unbound{}
