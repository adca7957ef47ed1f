//go:build linux

package main

import "testing"

func TestParsePgbench(t *testing.T) {
	const good = `transaction type: pgbench.sql
number of threads: 2
duration: 1 s
number of transactions actually processed: 3380
number of failed transactions: 0 (0.000%)
latency average = 9.1 ms
initial connection time = 41.0 ms
tps = 3521.127 (without initial connection time)
`
	n, rate, err := parsePgbench([]byte(good))
	if n != 3380 || rate != 3521.127 || err != nil {
		t.Errorf("read %d transactions, %v a second, error %v", n, rate, err)
	}
	for _, bad := range []string{
		"", "number of transactions actually processed: 3380\n", "tps = 1.5 (without initial connection time)\n",
		"number of transactions actually processed: 10\nnumber of failed transactions: 2 (20.000%)\ntps = 10.0 (without initial connection time)\n",
	} {
		if n, rate, err := parsePgbench([]byte(bad)); err == nil {
			t.Errorf("%q was read as %d transactions, %v a second", bad, n, rate)
		}
	}
}
