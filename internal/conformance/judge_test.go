//go:build linux

package conformance

import (
	"errors"
	"strings"
	"testing"
)

// A verdict is the last line; colours and what else a test prints are before it.
func TestJudgeVersitygw(t *testing.T) {
	const prelude = "\x1b[36mRUN  \x1b[0mPutObject_x\n\x1b[31mX: failed to delete the bucket: y"
	exit := errors.New("exit status 2")
	for name, c := range map[string]struct {
		out    string
		exit   error
		want   Outcome
		detail string
	}{
		"passed":        {`{"Passed":1}`, nil, Passed, ""},
		"message":       {`{"Passed":1,"Messages":["message: wanted \"a\", got \"b\""]}`, nil, MessageOnly, `wanted "a", got "b"`},
		"failed":        {`{"Failed":1,"Error":"expected 404, instead got 200"}`, nil, Failed, "expected 404, instead got 200"},
		"both":          {`{"Failed":1,"Error":"wrong code","Messages":["message: x"]}`, nil, Failed, "wrong code"},
		"clean-up":      {`{"Passed":1,"Error":"X: failed to delete the bucket: y"}`, nil, Failed, "delete the bucket"},
		"no error":      {`{"Failed":1}`, nil, Failed, "failed to delete"},
		"skipped":       {`{"Skipped":1}`, nil, Skipped, ""},
		"nothing":       {`{}`, nil, Failed, "did not say"},
		"unreadable":    {`{`, nil, Failed, "unreadable"},
		"exit status":   {`{"Passed":1}`, exit, Failed, "exit status 2"},
		"never reached": {"", exit, Failed, "failed to delete the bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			out := prelude
			if c.out != "" {
				out += "\n" + verdictMark + c.out + "\n"
			}
			outcome, detail := judgeVersitygw([]byte(out), c.exit)
			if outcome != c.want || !strings.Contains(detail, c.detail) || (detail == "") != (c.detail == "") {
				t.Errorf("%s, %q; want %s, %q", outcome, detail, c.want, c.detail)
			}
		})
	}
}

// A test that panics is explained by the panic and the place in the suite.
func TestCrash(t *testing.T) {
	const out = "RUN  A_x\npanic: runtime error: invalid memory address or nil pointer dereference\n" +
		"[signal SIGSEGV]\n\ngoroutine 1 [running]:\nruntime.gopanic()\n\t/go/src/runtime/panic.go:860\n" +
		"github.com/versity/versitygw/tests/integration.A_x.func1()\n" +
		"\tgithub.com/versity/versitygw/tests/integration/A.go:70 +0x1d\nmain.main()\n\tmain.go:22\n"
	outcome, detail := judgeVersitygw([]byte(out), errors.New("exit status 2"))
	if want := "panic: runtime error: invalid memory address or nil pointer dereference at A.go:70"; outcome != Failed || detail != want {
		t.Errorf("%s, %q; want failed, %q", outcome, detail, want)
	}
	_, detail = judgeVersitygw([]byte("RUN  A_x\n"), errors.New(notInTime+", after 2m0s"))
	if r := (Result{Detail: detail}); r.kind() != "time limit" {
		t.Errorf("%q is %s", detail, r.kind())
	}
}

func TestJudgeMinioGo(t *testing.T) {
	const returned = "\n\n" + verdictMark + "it returned"
	exit := errors.New("exit status 2")
	for name, c := range map[string]struct {
		out    string
		exit   error
		want   Outcome
		detail string
	}{
		"passed":        {`{"level":"INFO","name":"minio-go: testX","status":"PASS"}` + returned, nil, Passed, ""},
		"silent":        {returned, nil, Passed, ""},
		"twice":         {`{"status":"PASS"}` + "\n" + `{"status":"FAIL","message":"m","error":"e"}`, exit, Failed, "m: e"},
		"not available": {`{"status":"PASS"}` + "\n" + `{"status":"NA","alert":"Select is NotImplemented"}` + returned, nil, Failed, "Select"},
		"ended early":   {`{"status":"PASS"}`, nil, Failed, "PASS"},
		"panic":         {"panic: boom\n\tgithub.com/minio/minio-go/v7/functional_tests.go:12 +0x1", exit, Failed, "panic: boom at functional_tests.go:12"},
	} {
		outcome, detail := judgeMinioGo([]byte(c.out+"\n"), c.exit)
		if outcome != c.want || !strings.Contains(detail, c.detail) {
			t.Errorf("%s: %s, %q; want %s, %q", name, outcome, detail, c.want, c.detail)
		}
	}
}

// Of tests in tests, the innermost count, and one that fails by itself.
func TestJudgeGoTest(t *testing.T) {
	const out = `=== RUN   TestIntegration
    fstests.go:1: before
=== RUN   TestIntegration/A
=== RUN   TestIntegration/A/B
=== NAME  TestIntegration/A/B
    fstests.go:2: 
        	Error Trace:	fstests.go:2
        	Error:      	Not equal: 1 and 2
=== RUN   TestIntegration/A/C
--- FAIL: TestIntegration (0.33s)
    --- FAIL: TestIntegration/A (0.20s)
        --- FAIL: TestIntegration/A/B (0.10s)
        --- PASS: TestIntegration/A/C (0.10s)
    --- SKIP: TestIntegration/D (0.00s)
    --- FAIL: TestIntegration/E (0.01s)
        --- PASS: TestIntegration/E/F (0.01s)
FAIL
`
	got := make(map[string]Result)
	for _, r := range judgeGoTest(Test{suiteRclone, "s3", "TestIntegration"}, []byte(strings.Replace(out, "--- FAIL: TestIntegration (", "=== RUN   TestIntegration/E/F\n--- FAIL: TestIntegration (", 1))) {
		got[strings.TrimPrefix(r.Name, "TestIntegration/")] = r
	}
	want := map[string]Outcome{"A/B": Failed, "A/C": Passed, "D": Skipped, "E": Failed, "E/F": Passed}
	for name, outcome := range want {
		if r, ok := got[name]; !ok || r.Outcome != outcome {
			t.Errorf("%s: %v, %s; want %s", name, ok, r.Outcome, outcome)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d results, want %d: %v", len(got), len(want), got)
	}
	if d := oneLine(got["A/B"].Detail, maxDetail); d != "Not equal: 1 and 2" {
		t.Errorf("detail %q", d)
	}
}

func TestOneLine(t *testing.T) {
	got := oneLine("a\n\tb RequestID: 5, HostID: x/y, api error\xff "+strings.Repeat("c", 50), 20)
	if want := "a b api error? ccccc…"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
