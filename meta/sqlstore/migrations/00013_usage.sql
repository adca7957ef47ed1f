-- What delete markers, open uploads and their parts take up.
--
-- A gateway of the release before, which may still be serving, does not count them.
-- What it adds is never counted, and what it takes away stays counted: a marker for
-- good, an upload until Sweep removes it. So the figures of a bucket that it served
-- beside this release may be off by what it did.

-- +goose Up

ALTER TABLE usage ADD COLUMN markers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN uploads INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN part_bytes INTEGER NOT NULL DEFAULT 0;

-- Their changes, as usage_changes has those of bytes and versions. A gateway of the
-- release before that folds usage_changes would lose what it does not know of.
CREATE TABLE entry_changes (
    bucket_id  BLOB    NOT NULL,
    id         BLOB    NOT NULL, -- random
    markers    INTEGER NOT NULL,
    uploads    INTEGER NOT NULL,
    parts      INTEGER NOT NULL,
    part_bytes INTEGER NOT NULL,
    PRIMARY KEY (bucket_id, id)
) STRICT, WITHOUT ROWID;

-- What of the upload is counted in usage: the upload itself, parts of it, and their
-- bytes. All are zero once it has ended.
ALTER TABLE uploads ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN counted_parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN counted_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET counted = 1, counted_parts = parts,
    counted_bytes = (SELECT CAST(COALESCE(SUM(size), 0) AS INTEGER) FROM parts WHERE upload_id = uploads.id) WHERE state = 1;

-- What is there already. The bucket's id stands for a random one.
INSERT INTO entry_changes (bucket_id, id, markers, uploads, parts, part_bytes)
    SELECT bucket_id, bucket_id, CAST(SUM(markers) AS INTEGER), CAST(SUM(counted) AS INTEGER),
        CAST(SUM(counted_parts) AS INTEGER), CAST(SUM(counted_bytes) AS INTEGER)
    FROM (SELECT bucket_id, 1 AS markers, 0 AS counted, 0 AS counted_parts, 0 AS counted_bytes FROM versions WHERE marker = 1
        UNION ALL SELECT bucket_id, 0, counted, counted_parts, counted_bytes FROM uploads WHERE counted = 1) AS present
    GROUP BY bucket_id;
