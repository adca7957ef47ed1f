-- Places of copies of blobs that are being moved, and how many buckets with a
-- residency were made.
--
-- A gateway of the release before, which may still be serving, reserves no place
-- for its copies, and does not count the buckets that it makes: moves keep to every
-- residency, and leave nothing behind, once none is left.

-- +goose Up

ALTER TABLE deployment ADD COLUMN demands INTEGER NOT NULL DEFAULT 0;

CREATE TABLE copies (
    id      BLOB    NOT NULL,
    backend INTEGER NOT NULL,
    holder  BLOB    NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (id, backend)
) STRICT, WITHOUT ROWID;
CREATE INDEX copies_by_holder ON copies (holder, id, backend);
