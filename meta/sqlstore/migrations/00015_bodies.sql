-- Which versions are made of the parts of an upload, and the order of uploads of one age.
--
-- A gateway of the release before goes on serving beside this one, and does not ask
-- for it: an edited upload may lose its parts until that gateway is gone. Where the
-- table is large, writers on Postgres wait while the rows are read once.

-- +goose Up

-- On SQLite, objects of one blob are not in these indexes, so that writing them costs no more.
CREATE INDEX objects_by_upload ON objects (body_id) WHERE body_kind = 2;
CREATE INDEX versions_by_upload ON versions (body_id) WHERE body_kind = 2;

-- The release before reads it as it read the one without the id.
DROP INDEX uploads_by_age;
CREATE INDEX uploads_by_age ON uploads (state, since, id);
