-- Several backends, residency and leases.
--
-- A store that was in use gets the backend "local", which is where all its blobs
-- are; an empty one gets its first backend with its deployment's row.
--
-- Releases side by side: this migration may take away what the release before it
-- needs, because that one ran on SQLite alone, where a store has one process.
-- From here on a gateway of the release before may still be serving when a
-- migration runs, so a migration adds (tables, indexes, columns that have a
-- default or may be NULL) and the one in the release after takes away what
-- nobody reads any more.

-- +goose Up

-- state: 1 active, 2 draining, 3 retired. living is the name until the backend
-- retires and NULL from then on, so that names are unique among the living. The
-- drain columns are the progress of a draining, NULL and zero in other states, but
-- for drain_round.
CREATE TABLE backends (
    id           INTEGER NOT NULL PRIMARY KEY,
    name         BLOB    NOT NULL,
    living       BLOB    UNIQUE,
    state        INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    drain_target INTEGER,
    drain_round  INTEGER NOT NULL, -- counts how often draining was asked for
    drain_after  BLOB,
    drain_left   INTEGER NOT NULL,
    drain_blobs  INTEGER NOT NULL,
    drain_bytes  INTEGER NOT NULL
) STRICT;
INSERT INTO backends (id, name, living, state, created, epoch, drain_round, drain_left, drain_blobs, drain_bytes)
    SELECT 1, CAST('local' AS BLOB), CAST('local' AS BLOB), 1, created, epoch, 0, 0, 0, 0 FROM deployment;
ALTER TABLE deployment DROP COLUMN epoch;

-- holder is NULL while the lease is free.
CREATE TABLE leases (
    name   BLOB    NOT NULL PRIMARY KEY,
    holder BLOB,
    fence  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- residency: entries with a line feed between them.
ALTER TABLE users ADD COLUMN residency BLOB;
ALTER TABLE buckets ADD COLUMN residency BLOB;
ALTER TABLE buckets ADD COLUMN backend INTEGER NOT NULL DEFAULT 1;
CREATE INDEX buckets_by_backend ON buckets (backend, id);

-- A column with a constant default costs nothing, however many blobs there are.
-- No statement relies on the default.
ALTER TABLE reservations ADD COLUMN backend INTEGER NOT NULL DEFAULT 1;
ALTER TABLE blobs ADD COLUMN backend INTEGER NOT NULL DEFAULT 1;

-- A blob that was moved is condemned at the place it left while it lives on at
-- another, so here, and only here, an id may have several rows.
CREATE TABLE condemned_copies (
    id      BLOB    NOT NULL,
    backend INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (id, backend)
) STRICT, WITHOUT ROWID;
INSERT INTO condemned_copies (id, backend, changed) SELECT id, 1, changed FROM condemned;
DROP TABLE condemned;
ALTER TABLE condemned_copies RENAME TO condemned;
CREATE INDEX condemned_by_age ON condemned (backend, changed, id);
