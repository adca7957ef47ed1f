package api

// documentFacts is how a policy gets to see what the body of an XMLBody operation says: the
// request is decided before the body is read, as one whose condition keys are still open,
// and once more afterwards. So whoever has no right, whatever the document says, is
// refused unread.
type documentFacts struct {
	// keys are the rows of access.ConditionKeys that the document fills.
	keys map[string]bool
	// read puts what Request.XML says into Request.asked, errors included.
	read func(*Request)
}

func openKeys(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// decideDocument reads what the document says, and decides with that. What cannot be
// read has no value, and the handler refuses it.
func (x *exchange) decideDocument() error {
	r := x.req
	if r.Op.Document == nil {
		return nil
	}
	r.Op.Document.read(r)
	r.open, r.context = nil, nil
	return x.authorize()
}
