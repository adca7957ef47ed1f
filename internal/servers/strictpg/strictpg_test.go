package strictpg

import "testing"

func TestRefusal(t *testing.T) {
	for statement, refused := range map[string]bool{
		"SET statement_timeout = 1":                     true,
		" -- a word before\n set search_path = x":       true,
		"SELECT pg_advisory_xact_lock(1)":               true,
		"SELECT pg_try_advisory_lock(1)":                true,
		"LISTEN changes":                                true,
		"CREATE TEMP TABLE t (n INT)":                   true,
		"savepoint a":                                   true,
		"rollback to a":                                 true,
		"DECLARE c CURSOR FOR SELECT 1":                 true,
		"PREPARE a AS SELECT 1":                         true,
		"LOCK TABLE objects":                            true,
		"CREATE INDEX i ON t (a) WHERE b IS NULL":       true,
		"CREATE OR REPLACE FUNCTION f() RETURNS INT":    true,
		"SELECT settings -> 'a' FROM buckets":           true,
		"UPDATE objects SET size = 1 WHERE key = $1":    false,
		"begin isolation level serializable read write": false,
		"rollback": false,
		"commit":   false,
		"SELECT 1 FROM buckets WHERE id = $1 FOR UPDATE": false,
		"CREATE INDEX i ON t (a, b)":                     false,
		"CREATE TABLE settings (id BYTEA)":               false,
	} {
		if why := refusal(statement); (why != "") != refused {
			t.Errorf("%s: refused because %q", statement, why)
		}
	}
}
