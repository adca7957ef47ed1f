-- The schema, in SQLite's words; schema.go turns it into another engine's.
--
-- Names, keys and ids are all BLOB and compare as bytes. Times are
-- microseconds since 1970 UTC. A column that may be empty is NULL then.

-- +goose Up

CREATE TABLE deployment (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    id      BLOB    NOT NULL,
    root    BLOB    NOT NULL,
    seed    BLOB,
    created INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    checks  INTEGER NOT NULL -- counts health checks, so that one writes something
) STRICT;

CREATE TABLE users (
    id      BLOB    NOT NULL PRIMARY KEY,
    name    BLOB    NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE access_keys (
    id      BLOB    NOT NULL PRIMARY KEY,
    user_id BLOB    NOT NULL,
    secret  BLOB,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX access_keys_by_user ON access_keys (user_id, id);

CREATE TABLE buckets (
    id       BLOB    NOT NULL PRIMARY KEY,
    name     BLOB    NOT NULL UNIQUE,
    owner    BLOB    NOT NULL,
    region   BLOB,
    created  INTEGER NOT NULL,
    settings BLOB
) STRICT;
CREATE INDEX buckets_by_owner ON buckets (owner, name);

CREATE TABLE bucket_seeds (
    bucket_id  BLOB    NOT NULL,
    generation INTEGER NOT NULL,
    wrapped    BLOB,
    PRIMARY KEY (bucket_id, generation)
) STRICT, WITHOUT ROWID;

-- Deleted buckets that Sweep has not finished with.
CREATE TABLE dying_buckets (
    id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What listings read comes first: SQLite finds a column by walking the row, and
-- a long row's end is on another page. Not WITHOUT ROWID: a tree whose inner
-- nodes hold rows this long is deep, and reads by key get slower as it grows.
CREATE TABLE objects (
    bucket_id   BLOB    NOT NULL,
    key         BLOB    NOT NULL,
    version_id  BLOB    NOT NULL,
    owner       BLOB    NOT NULL,
    size        INTEGER NOT NULL,
    modified    INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    body_kind   INTEGER NOT NULL,
    body_id     BLOB,
    list_record BLOB,
    wrapped_key BLOB,
    manifest    BLOB,
    PRIMARY KEY (bucket_id, key)
) STRICT;

-- state: 1 open, 2 completed, 3 dying, 4 completed with parts that Sweep drops.
-- since is when it came into the state: created while open, and NULL for a dying
-- upload until a sweep has seen it, if nobody told when it ended.
-- refs counts versions; parts counts rows of parts.
CREATE TABLE uploads (
    id          BLOB    NOT NULL PRIMARY KEY,
    bucket_id   BLOB    NOT NULL,
    key         BLOB    NOT NULL,
    owner       BLOB    NOT NULL,
    created     INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    since       INTEGER,
    revision    INTEGER NOT NULL,
    refs        INTEGER NOT NULL,
    parts       INTEGER NOT NULL,
    version_id  BLOB,
    wrapped_key BLOB,
    settings    BLOB,
    chosen      BLOB
) STRICT;
CREATE INDEX uploads_by_key ON uploads (bucket_id, state, key, id);
CREATE INDEX uploads_by_age ON uploads (state, since);

-- blobs: ids of 20 bytes, one after another.
CREATE TABLE parts (
    upload_id BLOB    NOT NULL,
    number    INTEGER NOT NULL,
    attempt   BLOB    NOT NULL,
    size      INTEGER NOT NULL,
    modified  INTEGER NOT NULL,
    blobs     BLOB,
    record    BLOB,
    PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;

-- The ledger. A blob is in exactly one of three tables, which is its state: the
-- few that are reserved or condemned are found by age or holder without an
-- index over the many that live.
CREATE TABLE reservations (
    id      BLOB    NOT NULL PRIMARY KEY,
    holder  BLOB    NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_by_holder ON reservations (holder, id);

CREATE TABLE blobs (
    id   BLOB    NOT NULL PRIMARY KEY,
    refs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE condemned (
    id      BLOB    NOT NULL PRIMARY KEY,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX condemned_by_age ON condemned (changed, id);

CREATE TABLE holders (
    id   BLOB    NOT NULL PRIMARY KEY,
    beat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
