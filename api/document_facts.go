package api

// documentFacts shows policies what the body of an XMLBody operation says. The
// request is decided before the body is read, with the document's condition
// keys open, and again afterwards. So a sender whom no document would be
// allowed is refused before the body is read.
type documentFacts struct {
	// keys are the rows of access.ConditionKeys that the document fills.
	keys map[string]bool
	// read parses Request.XML into Request.asked, errors included.
	read func(*Request)
}

// openKeys makes a documentFacts.keys.
func openKeys(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// decideDocument reads the document's facts and decides again. An unreadable
// fact has no value; the handler refuses it.
func (x *exchange) decideDocument() error {
	r := x.req
	if r.Op.Document == nil {
		return x.decideLate()
	}
	r.Op.Document.read(r)
	// The context is gathered anew, now with the document's values.
	r.open, r.context = nil, nil
	if r.late() {
		return x.decideAnew()
	}
	return x.authorize()
}
