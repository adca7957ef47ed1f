-- Several generations of a bucket's keys.
--
-- A gateway of the release before, which may still be serving, makes no generation. It
-- refuses a bucket that got one: the bucket's record says more than it knows.

-- +goose Up

-- The newest generation, by which all writes of the bucket go.
ALTER TABLE buckets ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;

-- key is the name of the key that the generation belongs to; NULL: the deployment's
-- default. created is NULL for the generation that the bucket began with. state: 1 the
-- newest of its key, 2 a former one, which is only read with.
ALTER TABLE bucket_seeds ADD COLUMN key BLOB;
ALTER TABLE bucket_seeds ADD COLUMN created INTEGER;
ALTER TABLE bucket_seeds ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
CREATE INDEX bucket_seeds_by_state ON bucket_seeds (state, bucket_id, generation);
