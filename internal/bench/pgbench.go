//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// pgbenchName is the lane of PostgreSQL itself.
const pgbenchName = "commits of one row, by pgbench"

const (
	pgbenchScript  = "pgbench.sql"
	pgbenchThreads = 2
	// debianPgbench is not in PATH on Debian.
	debianPgbench = "/usr/lib/postgresql/" + servers.Postgres15 + "/bin/pgbench"
)

// The least that a durable PUT can ask of the database: one row of some 200
// bytes, in a transaction of its own, into a table with a primary key.
const (
	pgbenchTable  = `CREATE TABLE single_rows (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT NOT NULL)`
	pgbenchInsert = `INSERT INTO single_rows (body) VALUES (repeat('x', 200));` + "\n"
)

// preparePgbench makes the table in the database and the script in dir.
func preparePgbench(ctx context.Context, db *servers.Postgres, dir string) error {
	if err := db.Exec(ctx, pgbenchDatabase, pgbenchTable); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, pgbenchScript), []byte(pgbenchInsert), 0o600)
}

// pgbenchLane is what the database does at best with as many clients.
func pgbenchLane(db *servers.Postgres, dir string) lane {
	return lane{name: pgbenchName, turn: func(ctx context.Context, d time.Duration) (int64, float64, error) {
		host, port, err := net.SplitHostPort(db.Address)
		if err != nil {
			return 0, 0, err
		}
		program := debianPgbench
		if _, err := os.Stat(program); err != nil {
			program = "pgbench"
		}
		// Whole seconds are all that it takes.
		seconds := max(1, int((d+time.Second-1)/time.Second))
		out, err := exec.CommandContext(ctx, program, "--host", host, "--port", port, "--username", servers.PostgresUser,
			"--no-vacuum", "--protocol", "prepared", "--client", strconv.Itoa(storeClients), "--jobs", strconv.Itoa(pgbenchThreads),
			"--time", strconv.Itoa(seconds), "--file", filepath.Join(dir, pgbenchScript), pgbenchDatabase).CombinedOutput()
		if err != nil {
			return 0, 0, fmt.Errorf("pgbench: %w\n%s", err, out)
		}
		return parsePgbench(out)
	}}
}

var (
	pgbenchCount  = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
	pgbenchRate   = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)`)
)

// parsePgbench reads how many transactions there were and how many a second,
// connecting left out, from what pgbench 14 or later prints. Failed ones are an
// error.
func parsePgbench(out []byte) (n int64, rate float64, err error) {
	count, failed, tps := pgbenchCount.FindSubmatch(out), pgbenchFailed.FindSubmatch(out), pgbenchRate.FindSubmatch(out)
	if count == nil || tps == nil {
		return 0, 0, fmt.Errorf("pgbench prints no count or no rate:\n%s", out)
	}
	if failed != nil && string(failed[1]) != "0" {
		return 0, 0, fmt.Errorf("pgbench: %s transactions failed", failed[1])
	}
	n, err1 := strconv.ParseInt(string(count[1]), 10, 64)
	rate, err2 := strconv.ParseFloat(string(tps[1]), 64)
	return n, rate, errors.Join(err1, err2)
}
