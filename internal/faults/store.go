package faults

import (
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

//go:generate go run ./generate

// Store wraps s so that intents fail as plan says. The Op of an intent is the name of
// its method, for example "CommitObject"; Close is not an intent. An intent that
// fails before its effect returns meta.ErrUnavailable. One that changes something and
// fails after its effect returns meta.ErrUnknown, the contract's error for a lost
// answer. A lost answer to a question is meta.ErrUnavailable, too. All of them also
// wrap the error of the Rule.
//
// An intent that s itself refuses returns that error and counts as a call without
// effect. The wrapper adds nothing else: with an empty plan it passes metatest.
func Store(s meta.Store, plan *Plan) meta.Store { return &faultyStore{s, plan} }

// faultyStore has a generated method for each intent of meta.Store. Embedding the
// interface would be shorter, but a new intent would then never fail.
type faultyStore struct {
	s    meta.Store
	plan *Plan
}

// outcome runs one intent between its two points of failure. lost is the error of a
// lost answer.
func outcome[T any](f *faultyStore, op Op, lost error, act func() (T, error)) (v T, err error) {
	var none T
	if err := f.plan.Before(op); err != nil {
		return none, fmt.Errorf("%w: %w", meta.ErrUnavailable, err)
	}
	if v, err = act(); err != nil {
		return v, err
	}
	if err := f.plan.After(op); err != nil {
		return none, fmt.Errorf("%w: %w", lost, err)
	}
	return v, nil
}

func question[T any](f *faultyStore, op Op, act func() (T, error)) (T, error) {
	return outcome(f, op, meta.ErrUnavailable, act)
}

func change[T any](f *faultyStore, op Op, act func() (T, error)) (T, error) {
	return outcome(f, op, meta.ErrUnknown, act)
}

// do is a change without a result beside its error.
func (f *faultyStore) do(op Op, act func() error) error {
	_, err := change(f, op, func() (struct{}, error) { return struct{}{}, act() })
	return err
}

// pair holds the results of an intent that has two.
type pair[A, B any] struct {
	first  A
	second B
}

// Close closes the wrapped store.
func (f *faultyStore) Close() error { return f.s.Close() }
