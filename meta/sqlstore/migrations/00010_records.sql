-- Sealed records of the deployment, of tenants, access keys and buckets.
--
-- A gateway of the release before goes on serving beside this one, and writes none:
-- no record is written or read before the last of them is gone, which the column of
-- holders tells. It does not start again on this schema.

-- +goose Up

-- sealing: 1 rows have no records, 2 records are written and the rows without are
-- given theirs, 3 every row has its record. resealed is how far that has come.
ALTER TABLE deployment ADD COLUMN sealing INTEGER NOT NULL DEFAULT 1;
ALTER TABLE deployment ADD COLUMN record BLOB;
ALTER TABLE deployment ADD COLUMN resealed BLOB;

-- The sealing by which a gateway writes; NULL for one of the release before.
ALTER TABLE holders ADD COLUMN sealing INTEGER;

ALTER TABLE users ADD COLUMN record BLOB;
ALTER TABLE access_keys ADD COLUMN record BLOB;
ALTER TABLE buckets ADD COLUMN record BLOB;
