package access

import (
	"context"
	"errors"
	"runtime"

	"github.com/sanctum-storage/gateway/fair"
)

// Steps are what deciding is counted in: about a nanosecond's work each, always the
// same for the same policies and the same request.
const (
	// MaxSteps is what all decisions about one request may take together. A thousand
	// keys of 40 bytes under 30 policies of 10 KB stay below, though these are full of the
	// patterns that are hardest to match.
	MaxSteps = 1_500_000_000
	// stepsPerLook is after how many steps it is asked whether somebody still waits.
	stepsPerLook = 1_000_000
	// stepsCostly is how much an evaluation takes before it takes turns with others of
	// its tenant: more than the needs of any request but DeleteObjects.
	stepsCostly = 50_000_000

	stepsStatement = 6  // looking at a statement, or at a condition
	stepsMatch     = 40 // beginning to match a pattern
	stepsFind      = 24 // beginning to search
	stepsMake      = 96 // beginning to put a pattern together
	stepsVariable  = 24 // looking up a variable
	stepsOperand   = 4  // comparing with a number, a time, a network
	bytesPerStep   = 16 // of a text that is searched, compared or put together
)

// costly are the turns of a tenant's costly evaluations: half of the processors, so that
// the others are left to whoever else asks.
var costly = fair.NewTurns[ID](runtime.GOMAXPROCS(0) / 2)

// errBudget: the decisions about one request took more than MaxSteps.
var errBudget = errors.New("the decisions about the request take too much work")

// meter counts steps up to a budget. Beyond it, or when the context has ended, it is
// over: then the work under way is worth nothing, and its decision is a denial. A nil
// meter counts nothing and is never over.
type meter struct {
	ctx   context.Context
	payer ID     // the tenant whose turns costly work takes
	leave func() // ends the turn; nil: there is none
	spent int
	look  int // asks the context when so many were spent
	err   error
	room  []uint64
}

func (m *meter) spend(steps int) {
	if m == nil {
		return
	}
	if m.spent += steps; m.spent >= m.look {
		m.lookUp()
	}
}

func (m *meter) lookUp() {
	m.look = m.spent + stepsPerLook
	switch {
	case m.err != nil:
	case m.spent > MaxSteps:
		m.err = errBudget
	case m.spent > stepsCostly && m.leave == nil:
		m.leave, m.err = costly.Enter(m.ctx, m.payer)
	default:
		m.err = m.ctx.Err()
	}
}

// rest ends a turn, if there is one.
func (m *meter) rest() {
	if m.leave != nil {
		m.leave()
		m.leave = nil
	}
}

func (m *meter) over() bool { return m != nil && m.err != nil }

// searchRoom is zeroed memory for findWild, good until the next call.
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
