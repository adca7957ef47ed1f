-- One row for each commit of the last minutes, so that a gateway whose answer
-- was lost can ask whether its commit happened: see commits.go. Postgres only:
-- SQLite runs inside the gateway's process and loses no answers.

-- +goose Up

CREATE TABLE commits (
    made BIGINT NOT NULL, -- seconds since 1970 by the database's clock
    id   BYTEA  NOT NULL,
    done BIGINT NOT NULL, -- 1: the commit happened; 0: it never will
    PRIMARY KEY (made, id)
);
