package access

import (
	"context"
	"errors"
	"runtime"

	"github.com/sanctum-storage/gateway/fair"
)

// Steps count the work of deciding, each about a nanosecond's. The count is
// always the same for the same policies and the same request.
const (
	// MaxSteps bounds all decisions about one request together. A thousand keys
	// of 40 bytes under 30 policies of 10 KB stay below it, even if these are
	// full of the patterns that are hardest to match.
	MaxSteps = 1_500_000_000
	// stepsPerLook is the number of steps between looks at the context.
	stepsPerLook = 1_000_000
	// stepsCostly is the number of steps after which an evaluation takes turns
	// with others of its tenant. No request needs as many, except
	// DeleteObjects.
	stepsCostly = 50_000_000

	stepsStatement = 6  // looking at a statement or a condition
	stepsMatch     = 40 // starting to match a pattern
	stepsFind      = 24 // starting to search
	stepsMake      = 96 // starting to expand a template
	stepsVariable  = 24 // looking up a variable
	stepsOperand   = 4  // comparing with a number, a time, a network
	bytesPerStep   = 16 // of a text that is searched, compared or built
)

// costly are the turns of tenants' costly evaluations. They have half of the
// processors, so that the others stay free for other requests.
var costly = fair.NewTurns[ID](runtime.GOMAXPROCS(0) / 2)

// errBudget: the decisions about one request took more than MaxSteps.
var errBudget = errors.New("the decisions about the request take too much work")

// meter counts steps up to a budget. Beyond it, or when the context has ended,
// it is over: then the result of the current work is meaningless and the
// decision is a denial. A nil meter counts nothing and is never over.
type meter struct {
	ctx   context.Context
	payer ID     // the tenant whose turns costly work takes
	leave func() // ends the turn; nil: no turn
	spent int
	look  int // look at the context when spent reaches it
	err   error
	room  []uint64
}

// spend counts steps.
func (m *meter) spend(steps int) {
	if m == nil {
		return
	}
	if m.spent += steps; m.spent >= m.look {
		m.lookUp()
	}
}

// lookUp looks at budget and context, and takes a turn if the work has become
// costly.
func (m *meter) lookUp() {
	m.look = m.spent + stepsPerLook
	switch {
	case m.err != nil:
	case m.spent > MaxSteps:
		m.err = errBudget
	// Enter waits under the request's context, so that a client that is gone waits
	// no longer.
	case m.spent > stepsCostly && m.leave == nil:
		m.leave, m.err = costly.Enter(m.ctx, m.payer)
	default:
		m.err = m.ctx.Err()
	}
}

// rest ends the turn, if any.
func (m *meter) rest() {
	if m.leave != nil {
		m.leave()
		m.leave = nil
	}
}

// over reports whether the result of the work no longer counts. Loops ask it,
// so that they end soon after.
func (m *meter) over() bool { return m != nil && m.err != nil }

// searchRoom returns zeroed memory for findWild, valid until the next call.
func (m *meter) searchRoom(words int) (masks, wild, state []uint64) {
	n := (lanes + 2) * words
	var room []uint64
	if m == nil || cap(m.room) < n {
		room = make([]uint64, n)
		if m != nil {
			m.room = room
		}
	} else {
		room = m.room[:n]
		clear(room)
	}
	m.spend(n / bytesPerStep)
	return room[:lanes*words], room[lanes*words : (lanes+1)*words], room[(lanes+1)*words:]
}
