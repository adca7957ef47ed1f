-- Guards repeat the newest generation of the bucket's keys: see guards.go in
-- meta/sqlstore. A gateway of the release before, which may still be serving, makes no
-- generation, so the default is right for the guards that it makes.

-- +goose Up

ALTER TABLE bucket_guards ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
