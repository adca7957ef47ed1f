//go:build linux

package servers

import "testing"

// Each version starts, survives a crash, and ends in order.
func TestPostgres(t *testing.T) {
	for _, version := range []string{Postgres15, Postgres18} {
		t.Run(version, func(t *testing.T) {
			p, err := StartPostgres(version, t.TempDir(), PostgresOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range []func() error{
				func() error {
					return p.Exec(t.Context(), "postgres", "CREATE TABLE there (n INT); INSERT INTO there VALUES (1)")
				},
				p.Kill, p.Restart,
				func() error { return p.Exec(t.Context(), "postgres", "SELECT 1 / n FROM there") },
				p.Stop,
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Exec(t.Context(), "postgres", "SELECT 1"); err == nil {
				t.Error("it answers after Stop")
			}
		})
	}
}
