package blobs

import "time"

// attend does something at several backends, all at once, and waits for those that end
// within a time. A folder of a file system that hangs ends no call, whatever its context
// says. It must not keep a beat from its end, because other gateways take a process
// without beats for dead. A backend whose call hangs is not asked again until that has
// ended.
func attend(ps []*place, within time.Duration, do func(p *place)) {
	ended := make(chan struct{}, len(ps))
	begun := 0
	for _, p := range ps {
		if p.attended.Swap(true) {
			continue
		}
		begun++
		go func() {
			defer func() {
				p.attended.Store(false)
				ended <- struct{}{}
			}()
			do(p)
		}()
	}
	// The calls have the same time in their contexts, and a quarter to come back.
	enough := time.NewTimer(within + within/4)
	defer enough.Stop()
	for range begun {
		select {
		case <-ended:
		case <-enough.C:
			return
		}
	}
}
