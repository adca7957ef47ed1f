package access

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// again decides as Decide does, and compares with an evaluation that decides
// the same need many times, among others.
func again(t testing.TB, p *Principal, request Context, n Need) Decision {
	t.Helper()
	d := Decide(p, request, n)
	v := NewEvaluation(t.Context(), p, request)
	other := n
	other.Context = Context{"s3:existingobjecttag/x": {"y"}, "aws:username": {"nobody"}}
	for k := range n.Context {
		other.Context[k] = []string{"another value"}
	}
	for k := range request {
		other.Context[k] = []string{"another value"}
	}
	without := n
	without.Context = nil
	for i := range 3 * keepAfter {
		if got := v.Decide(n); got != d {
			t.Errorf("%s: decided %d times: %+v, at first %+v", n.Action, i, got, d)
		}
		for _, n := range []Need{other, without} {
			if got, want := v.Decide(n), Decide(p, request, n); got != want {
				t.Errorf("%s between others: %+v, alone %+v", n.Action, got, want)
			}
		}
	}
	return d
}

// Needs that are decided one after another, in any order, are decided like each
// alone: remembered results never belong to another need.
func TestEvaluationOfManyNeeds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	words := func() string {
		return pick("*", "a*", "?", "${aws:username}*", "*${s3:ExistingObjectTag/t}", "${s3:prefix}", "${s3:ResourceAccount}*", "a${aws:PrincipalTag/p, 'a'}*", "*a")
	}
	for range 300 {
		var statements []string
		for range 1 + r.IntN(6) {
			condition := ""
			if r.IntN(2) == 0 {
				key := pick("s3:ExistingObjectTag/t", "s3:prefix", "aws:ResourceAccount", "aws:username", "s3:existingobjecttag/T")
				condition = fmt.Sprintf(`,"Condition":{%q:{%q:[%q,%q]}}`,
					pick("StringLike", "StringNotEquals", "StringEqualsIgnoreCase", "ForAllValues:StringLike"), key, words(), words())
			}
			statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Action":%q,%q:["arn:aws:s3:::*/%s","arn:aws:s3:::%s"]%s}`,
				pick("Allow", "Allow", "Deny"), pick("s3:*", "s3:GetObject", "s3:Delete*"), pick("Resource", "Resource", "NotResource"), words(), words(), condition))
		}
		policy, err := ParseIdentityPolicy("p", []byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`))
		if err != nil {
			t.Fatal(statements, err)
		}
		p := who(t, pick("user:1/a", "user:1/alice", "root:2", "operator"))
		p.Identity, p.Tags = []*Policy{policy}, map[string]string{"p": pick("a", "b*")}
		request := Context{"s3:prefix": {pick("a", "ab")}}
		v := NewEvaluation(t.Context(), p, request)
		for range 40 {
			n := Need{Action: pick("s3:GetObject", "s3:DeleteObject", "s3:ListBucket"), Bucket: &Bucket{Name: "b"}, Key: pick("a", "ab", "alice/x", "t", "ba")}
			n.Bucket.Owner, n.Bucket.Account = tenant(pick("1", "2"))
			if r.IntN(2) == 0 {
				n.Context = Context{}
				n.Context.AddTag("s3:ExistingObjectTag/", pick("t", "T"), pick("a", "b", "x"))
			}
			if got, want := v.Decide(n), Decide(p, request, n); got != want {
				t.Fatalf("%s of %+v: %+v, alone %+v", statements, n, got, want)
			}
		}
	}
}

// worstPolicy is a policy of the largest size, full of the patterns of pattern.
func worstPolicy(tb testing.TB, most int, effect string, pattern func(i int) string) *Policy {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":"s3:*","Resource":[`, effect)
	for i := 0; ; i++ {
		next := fmt.Sprintf("%q,", "arn:aws:s3:::"+pattern(i))
		if b.Len()+len(next)+3 > most {
			break
		}
		b.WriteString(next)
	}
	p, err := ParseIdentityPolicy("worst", []byte(strings.TrimSuffix(b.String(), ",")+"]}}"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// worst are the patterns that are costliest to match with keys of their kind,
// and the key for a number.
var worst = []struct {
	name    string
	pattern func(i int) string
	key     func(i, length int) string
}{
	{"stars", func(i int) string { return fmt.Sprintf("*a*a*%dz*", i) }, as},
	{"variables", func(i int) string { return fmt.Sprintf("b/*${aws:username}*/%d/*z", i) }, as},
	{"many variables", func(i int) string { return fmt.Sprintf("*%s%dz*", strings.Repeat("${aws:username}", 10), i) }, as},
	{"one variable", func(i int) string { return fmt.Sprintf("*${aws:username}a*?%dz*", i) }, as},
	{"question marks", func(i int) string { return fmt.Sprintf("*?a?%dz*", i) }, as},
	{"long runs of question marks", func(i int) string { return fmt.Sprintf("*%s%dz*", strings.Repeat("a?", 15), i) }, as},
	{"other letters", func(i int) string { return fmt.Sprintf("*?é?%dz*", i) }, func(i, n int) string { return strings.Repeat("é", n/2) + fmt.Sprint(i) }},
	{"object tags", func(i int) string { return fmt.Sprintf("*${s3:ExistingObjectTag/t}*%dz*", i) }, as},
}

func as(i, length int) string { return strings.Repeat("a", length) + fmt.Sprint(i) }

// heavyUser has 30 policies of the largest size.
func heavyUser(tb testing.TB, pattern func(i int) string) *Principal {
	p := who(tb, "user:1/a")
	for i := range 30 {
		p.Identity = append(p.Identity, worstPolicy(tb, MaxIdentityPolicyBytes, "Deny", func(n int) string { return pattern(1000*i + n) }))
	}
	p.Identity = append(p.Identity, worstPolicy(tb, 200, "Allow", func(int) string { return "*" }))
	return p
}

func deletion(p *Principal, key string, i int) Need {
	n := Need{Action: "s3:DeleteObject", Bucket: &Bucket{Name: "b", Owner: p.Tenant, Account: p.Account}, Key: key, Context: Context{}}
	n.Context.AddTag("s3:ExistingObjectTag/", "t", fmt.Sprint("a", i))
	return n
}

// A thousand keys of usual length are decided within the budget under all
// policies. Each key is the same work, so that a few suffice.
func TestBudgetIsEnough(t *testing.T) {
	for _, w := range worst {
		p := heavyUser(t, w.pattern)
		v := NewEvaluation(t.Context(), p, nil)
		const first, more = keepAfter + 2, 5
		before := 0
		for i := range first + more {
			if i == first {
				before = v.meter.spent
			}
			if d := v.Decide(deletion(p, w.key(i, 40), i)); !d.Allow {
				t.Fatalf("%s: key %d: %s", w.name, i, d.Reason)
			}
		}
		all := before + (v.meter.spent-before)/more*1000
		t.Logf("%s: %d of %d steps", w.name, all, MaxSteps)
		if all > MaxSteps {
			t.Errorf("%s: a thousand keys take %d steps of %d", w.name, all, MaxSteps)
		}
	}
}

// A decision that takes too much work ends as a denial soon after the budget's
// end, and stays one, although every statement so far allows.
func TestBudgetEnds(t *testing.T) {
	for _, w := range worst {
		p := heavyUser(t, w.pattern)
		v := NewEvaluation(t.Context(), p, nil)
		v.Decide(deletion(p, w.key(0, 1000), 0))
		one := v.meter.spent
		v.meter.spent = MaxSteps - 3*one/2 // spent by earlier needs
		allowed := 0
		for i := range 4 {
			d := v.Decide(deletion(p, w.key(i, 1000), i))
			if d.Allow {
				if allowed++; allowed != i+1 {
					t.Fatalf("%s: key %d was allowed after the budget's end", w.name, i)
				}
			} else if d.Reason != errBudget.Error() {
				t.Fatalf("%s: key %d: %s", w.name, i, d.Reason)
			}
		}
		if allowed == 0 || allowed > 2 || v.Err() != errBudget || v.meter.spent > MaxSteps+2*stepsPerLook {
			t.Errorf("%s: %d were allowed, after %d steps: %v", w.name, allowed, v.meter.spent, v.Err())
		}
		if d := v.Decide(deletion(p, "a", 0)); d.Allow {
			t.Errorf("%s: allowed after the end", w.name)
		}
	}
}

// Nothing is decided for a client that has left, including the decision in
// progress.
func TestEvaluationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := heavyUser(t, worst[5].pattern)
	v := NewEvaluation(ctx, p, nil)
	if d := v.Decide(deletion(p, as(0, 1000), 0)); !d.Allow {
		t.Fatal(d.Reason)
	}
	before := v.meter.spent
	cancel()
	if d := v.Decide(deletion(p, as(0, 1000), 0)); d.Allow || v.Err() != context.Canceled {
		t.Errorf("%+v, %v", d, v.Err())
	}
	if more := v.meter.spent - before; more > stepsPerLook {
		t.Errorf("%d steps after the end, %d before", more, before)
	}
}

// One request remembers no more than the bound, and allocates little more.
func TestEvaluationRemembersLittle(t *testing.T) {
	long := worst[0]
	long.name, long.pattern = "long values", func(i int) string { return fmt.Sprintf("*${aws:Referer}%dz*", i) }
	for _, w := range append(slices.Clip(worst), long) {
		p := heavyUser(t, w.pattern)
		v := NewEvaluation(t.Context(), p, Context{"aws:referer": {strings.Repeat("a", 800)}})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 3 * keepAfter {
			v.Decide(deletion(p, w.key(i, 900), i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%s: %d bytes held, %d counted, %d allocated in all", w.name, held, v.kept, after.TotalAlloc-before.TotalAlloc)
		if v.kept > maxKept || held > 2*maxKept {
			t.Errorf("%s: %d bytes are held, %d by its own count", w.name, held, v.kept)
		}
		runtime.KeepAlive(v)
	}
}

// Replaced values of condition keys count from then on.
func TestAsk(t *testing.T) {
	policy, err := ParseIdentityPolicy("p",
		[]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:prefix":"a"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	p := who(t, "user:1/alice")
	p.Identity = []*Policy{policy}
	a, b := Context{"s3:prefix": {"a"}}, Context{"s3:prefix": {"b"}}
	v := NewEvaluation(t.Context(), p, a)
	n := Need{Action: "s3:ListBucket", Bucket: &Bucket{Name: "b", Owner: p.Tenant, Account: p.Account}}
	for range 2 * keepAfter {
		for _, request := range []Context{a, b, nil, a} {
			v.Ask(request)
			for range 2 {
				if d := v.Decide(n); d.Allow != (reflect.DeepEqual(request, a)) {
					t.Fatalf("%v: %+v", request, d)
				}
			}
		}
	}
}
