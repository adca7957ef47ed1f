package access

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// costlyEvaluation has spent so much that it takes turns with others of its
// tenant.
func costlyEvaluation(ctx context.Context, t *testing.T, p *Principal) *Evaluation {
	t.Helper()
	v := NewEvaluation(ctx, p, nil)
	v.meter.spent = stepsCostly + 1
	return v
}

// Costly decisions of one tenant leave processors for another tenant. Further
// ones of the same tenant wait until a place is free or their client leaves.
func TestCostlyDecisionsTakeTurns(t *testing.T) {
	id, account := tenant("2")
	bucket := &Bucket{Name: "b", Owner: id, Account: account}
	bob, other := who(t, "user:2/bob"), who(t, "user:1/alice")
	bob.Identity = []*Policy{identityOf(t, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)}
	need := Need{Action: "s3:GetObject", Bucket: bucket, Key: "k"}

	places := costly.Width()
	var leave []func()
	for range places {
		l, err := costly.Enter(t.Context(), bob.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan Decision)
	waiting := costlyEvaluation(t.Context(), t, bob)
	go func() { done <- waiting.Decide(need) }()
	gone := costlyEvaluation(ctx, t, bob)
	goneDone := make(chan Decision)
	go func() { goneDone <- gone.Decide(need) }()

	if d := NewEvaluation(t.Context(), bob, nil).Decide(need); !d.Allow {
		t.Errorf("a cheap decision had to wait: %s", d.Reason)
	}
	if costlyEvaluation(t.Context(), t, other).Decide(need); costly.Users(other.Tenant) != 0 {
		t.Error("another tenant's place was not given back")
	}
	for n := 0; costly.Users(bob.Tenant) < places+2; n++ {
		if n == 10_000 {
			t.Fatal("those beyond the tenant's places do not wait")
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case d := <-done:
		t.Errorf("one beyond the tenant's places did not wait: %+v", d)
	default:
	}
	cancel()
	if d := <-goneDone; d.Allow || gone.Err() == nil {
		t.Errorf("decided although the client has left: %+v", d)
	}
	leave[0]()
	if d := <-done; !d.Allow {
		t.Errorf("one that waited is decided as any: %s", d.Reason)
	}
	for _, l := range leave[1:] {
		l()
	}
	if n := costly.Users(bob.Tenant); n != 0 {
		t.Errorf("%d turns were not given back", n)
	}
}

// Even a hundred keys under policies of the worst kind have to take turns.
func TestManyKeysAreCostly(t *testing.T) {
	id, account := tenant("2")
	bob := who(t, "user:2/bob")
	hard := func(i int) string { return fmt.Sprintf("*?a?%dz*", i) }
	for range 30 {
		bob.Identity = append(bob.Identity, worstPolicy(t, 10<<10, "Deny", hard))
	}
	v := NewEvaluation(t.Context(), bob, nil)
	bucket := &Bucket{Name: "b", Owner: id, Account: account}
	for i := range 100 {
		v.Decide(Need{Action: "s3:DeleteObject", Bucket: bucket, Key: as(i, 40)})
	}
	if v.meter.spent < stepsCostly || v.meter.spent > MaxSteps {
		t.Errorf("%d steps", v.meter.spent)
	}
}

func identityOf(t *testing.T, doc string) *Policy {
	t.Helper()
	p, err := ParseIdentityPolicy("p", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
