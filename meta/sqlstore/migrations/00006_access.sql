-- Settings of buckets, limits of tenants, and identities within them.
--
-- A gateway of the release before goes on serving beside this one. It refuses
-- the access keys of identities, for their users are no tenants, and takes an
-- inactive key of a tenant's root for active until it is gone.

-- +goose Up

ALTER TABLE users ADD COLUMN limits BLOB;
ALTER TABLE access_keys ADD COLUMN inactive INTEGER NOT NULL DEFAULT 0;

-- kind: 1 user, 2 group, 3 role, 4 policy, 5 provider. folded is the name in
-- ASCII lower case.
CREATE TABLE identities (
    id       BLOB    NOT NULL PRIMARY KEY,
    tenant   BLOB    NOT NULL,
    kind     INTEGER NOT NULL,
    folded   BLOB    NOT NULL,
    name     BLOB    NOT NULL,
    created  INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    document BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX identities_by_name ON identities (tenant, kind, folded);

CREATE TABLE bucket_settings (
    bucket_id BLOB NOT NULL,
    name      BLOB NOT NULL,
    document  BLOB NOT NULL,
    PRIMARY KEY (bucket_id, name)
) STRICT;
