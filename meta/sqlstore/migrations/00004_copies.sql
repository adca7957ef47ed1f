-- A store that is copied to another database says so, and the copy says that it
-- is not finished, so that nobody serves either.

-- +goose Up

-- state: 1 to be served, 2 an unfinished copy, 3 moved to its copy.
ALTER TABLE deployment ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
