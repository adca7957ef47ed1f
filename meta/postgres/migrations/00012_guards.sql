-- Guards of buckets: see guards.go in meta/sqlstore.
--
-- A gateway of the release before, which may still be serving, does not know them.
-- Guards are made once none is left.

-- +goose Up

CREATE TABLE bucket_guards (
    bucket_id  BYTEA  NOT NULL,
    slot       BIGINT NOT NULL,
    versioning BIGINT NOT NULL,
    PRIMARY KEY (bucket_id, slot)
);
