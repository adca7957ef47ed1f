-- How far background jobs are that somebody asked for. A gateway of the release before
-- knows of none, and runs none.

-- +goose Up

CREATE TABLE jobs (
    name     BLOB NOT NULL PRIMARY KEY,
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
