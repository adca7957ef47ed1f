-- Versions, locks and usage.
--
-- A gateway of the release before, which may still be serving, knows nothing of
-- versions, and does not count what it writes: versioning is enabled, and usage is
-- exact, once none is left.

-- +goose Up

-- versioning: 0 off, 1 enabled, 2 suspended. Whoever changes it locks the row so
-- that no write under the old state is under way.
ALTER TABLE buckets ADD COLUMN versioning INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN locks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- A key has a row here if its current version is an object, and all other versions
-- in the next table. rank orders the versions of a key: the newest has the lowest.
-- lock_mode: 0 none, 1 governance, 2 compliance.
ALTER TABLE objects ADD COLUMN null_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE objects ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN encryption INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN class BLOB;
ALTER TABLE objects ADD COLUMN lock_mode INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN lock_until INTEGER;
ALTER TABLE objects ADD COLUMN lock_hold INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN marks BLOB;

-- Versions that are not current, and delete markers, current ones too. displaced
-- is NULL for a current marker alone. public is the version's id as clients have
-- it: 16 zero bytes for the null version, which a key has one of at most.
CREATE TABLE versions (
    bucket_id    BLOB    NOT NULL,
    key          BLOB    NOT NULL,
    rank         INTEGER NOT NULL,
    public       BLOB    NOT NULL,
    version_id   BLOB    NOT NULL,
    null_version INTEGER NOT NULL,
    marker       INTEGER NOT NULL,
    displaced    INTEGER,
    owner        BLOB    NOT NULL,
    size         INTEGER NOT NULL,
    modified     INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    body_kind    INTEGER NOT NULL,
    body_id      BLOB,
    encryption   INTEGER NOT NULL,
    class        BLOB,
    lock_mode    INTEGER NOT NULL,
    lock_until   INTEGER,
    lock_hold    INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    list_record  BLOB,
    marks        BLOB,
    wrapped_key  BLOB,
    manifest     BLOB,
    PRIMARY KEY (bucket_id, key, rank)
) STRICT;
CREATE UNIQUE INDEX versions_by_id ON versions (bucket_id, key, public);

-- What objects and versions of a bucket take up is the sum of its row in usage and
-- of its rows in usage_changes, so that writers of a bucket do not wait for one
-- another. FoldUsage adds the latter to the former.
CREATE TABLE usage (
    bucket_id BLOB    NOT NULL PRIMARY KEY,
    bytes     INTEGER NOT NULL,
    versions  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO usage (bucket_id, bytes, versions)
    SELECT bucket_id, SUM(size), COUNT(*) FROM objects GROUP BY bucket_id;

CREATE TABLE usage_changes (
    bucket_id BLOB    NOT NULL,
    id        BLOB    NOT NULL, -- random
    bytes     INTEGER NOT NULL,
    versions  INTEGER NOT NULL,
    PRIMARY KEY (bucket_id, id)
) STRICT, WITHOUT ROWID;
