-- Renames that a client may send again.
--
-- A gateway of the release before goes on serving beside this one: it renames
-- nothing.

-- +goose Up

-- One row for each rename of the last hours that came with a token. digest is of
-- all that was asked, made is when. ForgetRenames takes the old ones away.
CREATE TABLE renames (
    token  BLOB    NOT NULL PRIMARY KEY,
    digest BLOB    NOT NULL,
    made   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX renames_by_age ON renames (made, token);
