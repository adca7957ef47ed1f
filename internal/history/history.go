// Package history defines in which orders S3 lets requests on a key take effect,
// and compares recorded answers with that. Tests of one gateway and of several
// share it. It sends no requests, and the product never imports it.
package history

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// CheckTimeout bounds one Check, which needs milliseconds.
const CheckTimeout = 20 * time.Second

// Kind is the effect of a request on its key.
type Kind string

const (
	Get      Kind = "get" // also a HEAD, or a line of a LIST
	Put      Kind = "put"
	PutNew   Kind = "put-new" // if the key holds nothing
	PutIf    Kind = "put-if"  // if the key holds Request.Old
	Delete   Kind = "delete"
	DeleteIf Kind = "delete-if"
	// A Complete takes effect once for each upload, however many are sent. A
	// missing upload counts as success: it was completed, by this request or
	// another, and replaced since.
	Complete    Kind = "complete"
	CompleteNew Kind = "complete-new"
	CompleteIf  Kind = "complete-if"
	// A copy of a key onto itself has two steps: CopyRead, and then CopyWrite of
	// the value read, with the same ID.
	CopyRead  Kind = "copy-read"
	CopyWrite Kind = "copy-write"
)

// Request is one request, or half of a copy. A value identifies a body, for example
// by its ETag; empty: the key holds nothing.
type Request struct {
	Kind  Kind
	Key   string
	Value string // written
	Old   string // demanded by PutIf, DeleteIf and CompleteIf
	To    string // the other key of Rename and RenameNew
	ID    string // of the upload or copy, without ; and =
}

// Answer is the recorded answer. A request that certainly had no effect, and says
// nothing about the key, is not part of a history.
type Answer struct {
	Value   string // read
	Refused bool   // the condition did not hold
	Unknown bool   // it may have happened, at any time after the call
}

// register is a key's state.
type register struct {
	value  string
	done   string // ids of completed uploads, each with ; after it
	copies string // id=value; of each copy that was read and not written
}

// Model is the order in which S3 promises that requests take effect, key by key.
var Model = porcupine.Model{
	Partition: partition,
	Init:      func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(register), input.(Request), output.(Answer))
	},
	DescribeOperation: func(input, output any) string { return describe(input.(Request), output.(Answer)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%.40q", state.(register).value) },
}

func partition(history []porcupine.Operation) (parts [][]porcupine.Operation) {
	byKey := make(map[string][]porcupine.Operation)
	for _, o := range history {
		k := o.Input.(Request).Key
		byKey[k] = append(byKey[k], o)
	}
	for _, p := range byKey {
		parts = append(parts, p)
	}
	return parts
}

func step(now register, in Request, out Answer) (bool, register) {
	switch in.Kind {
	case Get:
		return out.Value == now.value, now
	case CopyRead:
		next := now
		next.copies += in.ID + "=" + now.value + ";"
		return out.Unknown || out.Value == now.value, next
	case CopyWrite:
		return now.copied(in.ID)
	}
	holds := true
	switch in.Kind {
	case PutNew, CompleteNew:
		holds = now.value == ""
	case PutIf, DeleteIf, CompleteIf:
		holds = now.value != "" && now.value == in.Old
	}
	complete := in.Kind == Complete || in.Kind == CompleteNew || in.Kind == CompleteIf
	if complete && strings.Contains(";"+now.done, ";"+in.ID+";") {
		return !out.Refused || !holds, now
	}
	next := now
	if holds {
		next.value = in.Value
		if complete {
			next.done += in.ID + ";"
		}
	}
	return out.Unknown || holds != out.Refused, next
}

// copied ends a copy whose first half has taken effect.
func (r register) copied(id string) (bool, register) {
	before, entry, ok := strings.Cut(";"+r.copies, ";"+id+"=")
	if !ok {
		return false, r
	}
	value, after, _ := strings.Cut(entry, ";")
	if before != "" {
		before = before[1:] + ";"
	}
	next := register{value: r.value, done: r.done, copies: before + after}
	if value != "" { // nothing to copy is an error that changes nothing
		next.value = value
	}
	return true, next
}

func describe(in Request, out Answer) string {
	text := string(in.Kind)
	for _, s := range []string{in.ID, in.Old, in.To, in.Value} {
		if s != "" {
			text += fmt.Sprintf(" %.12s", s)
		}
	}
	switch {
	case out.Unknown:
		return text + ": unknown"
	case out.Refused:
		return text + ": refused"
	}
	return fmt.Sprintf("%s: %.12q", text, out.Value)
}

// Log collects the operations of concurrent clients. The zero value is ready to
// use.
type Log struct {
	clock atomic.Int64
	mu    sync.Mutex
	all   []porcupine.Operation
}

// Call must be called before a request is sent.
func (l *Log) Call() int64 { return l.clock.Add(1) }

// Return records an answer when it arrives. A request of unknown outcome returns at
// the end of time: if it never happened, it comes last, where no other request sees
// its effect.
func (l *Log) Return(client int, call int64, in Request, out Answer) {
	o := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: l.clock.Add(1)}
	if out.Unknown {
		o.Return = math.MaxInt64
	}
	l.add(o)
}

func (l *Log) add(o porcupine.Operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, o)
}

// Operations returns the operations so far, in the order of their calls.
func (l *Log) Operations() []porcupine.Operation {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.all)
	slices.SortFunc(all, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	return all
}

// Check returns an error unless one order explains the history. It is also an error
// if the checker runs out of time. The error has the operations, and the path in
// dir of a drawing of them.
func Check(dir string, seed uint64, history []porcupine.Operation) error {
	return check(Model, dir, seed, history)
}

func check(model porcupine.Model, dir string, seed uint64, history []porcupine.Operation) error {
	result, info := porcupine.CheckOperationsVerbose(model, history, CheckTimeout)
	if result == porcupine.Ok {
		return nil
	}
	var lines strings.Builder
	for _, o := range history {
		key := ""
		switch in := o.Input.(type) {
		case Request:
			key = in.Key
		case VersionRequest:
			key = in.Key
		}
		fmt.Fprintf(&lines, "%d-%d client %d, %s: %s\n", o.Call, o.Return, o.ClientId, key, model.DescribeOperation(o.Input, o.Output))
	}
	drawing := filepath.Join(dir, fmt.Sprintf("history-%d.html", seed))
	if err := porcupine.VisualizePath(model, info, drawing); err != nil {
		drawing = err.Error()
	}
	return fmt.Errorf("seed %d: the history of %d operations is %s; drawn in %s\n%s", seed, len(history), result, drawing, lines.String())
}
