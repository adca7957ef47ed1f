package sqlstore

import "strings"

// rule is a condition that is true only for a row that contradicts itself or other
// rows. It reads other tables by a key or an index.
type rule struct {
	table  string
	kind   string
	broken string // SQL that every engine runs, with qualified columns
	detail string
}

// unserved is the condition that the row's backend is missing or retired.
func unserved(table string) string {
	return "NOT EXISTS (SELECT 1 FROM backends WHERE backends.id = " + table + ".backend AND backends.state <> 3)"
}

// nobody is the condition that a row's holder is neither a process nor the
// deployment, which holds blobs in doubt.
func nobody(table string) string {
	return "NOT EXISTS (SELECT 1 FROM holders WHERE holders.id = " + table + ".holder)" +
		" AND NOT EXISTS (SELECT 1 FROM deployment WHERE deployment.id = " + table + ".holder)"
}

// changeable is the condition that the changeable columns have invalid values.
func changeable(table string) string {
	return strings.ReplaceAll(`T.null_version NOT IN (0, 1) OR T.encryption NOT IN (0, 1, 2) OR T.lock_mode NOT IN (0, 1, 2)
		OR T.lock_hold NOT IN (0, 1) OR (T.lock_mode = 0) <> (T.lock_until IS NULL)`, "T.", table+".")
}

// neverVersions is the condition that versioning was never enabled for a row's
// bucket.
func neverVersions(table string) string {
	return "EXISTS (SELECT 1 FROM buckets WHERE buckets.id = " + table + ".bucket_id AND buckets.versioning = 0)"
}

// noBucket is the condition that a row's bucket neither exists nor is being
// deleted.
func noBucket(table string) string {
	return "NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = " + table + ".bucket_id)" +
		" AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = " + table + ".bucket_id)"
}

// heldBy begins the condition that a version's key holds an object. newerThan
// begins the condition that a noncurrent version of the key is newer.
func heldBy(table string) string {
	return "EXISTS (SELECT 1 FROM objects WHERE objects.bucket_id = " + table + ".bucket_id AND objects.key = " + table + ".key"
}

func newerThan(table string) string {
	return "EXISTS (SELECT 1 FROM versions AS newer WHERE newer.bucket_id = " + table + ".bucket_id AND newer.key = " + table +
		".key AND newer.rank < " + table + ".rank)"
}

// The comments of the migrations explain the numbers of states and kinds.
var rules = []rule{
	{"deployment", "unfinished-copy", "deployment.state = 2", "the store is an unfinished copy: run gateway db copy again"},
	{"deployment", damagedRow, "deployment.state NOT IN (1, 2, 3) OR LENGTH(deployment.id) <> 16", "its state or id is invalid"},
	{"deployment", "user-missing", "NOT EXISTS (SELECT 1 FROM users WHERE users.id = deployment.root)", "the root tenant is missing"},

	{"backends", damagedRow, "backends.id NOT BETWEEN 1 AND 64 OR backends.state NOT IN (1, 2, 3) OR backends.epoch < 1",
		"its number, state or epoch is invalid"},
	{"backends", "backend-name", "(backends.state = 3) <> (backends.living IS NULL) OR backends.living <> backends.name",
		"its name is not reserved, or still reserved although it is retired"},
	{"backends", "drain-target", `(backends.state = 2) <> (backends.drain_target IS NOT NULL)
		OR backends.drain_target IS NOT NULL AND NOT EXISTS (SELECT 1 FROM backends AS target
			WHERE target.id = backends.drain_target AND target.state = 1 AND target.id <> backends.id)`,
		"it drains, but not into another active backend; or it has a target, but does not drain"},

	{"leases", damagedRow, "leases.fence < 1 OR LENGTH(leases.holder) <> 16", "its fence or holder is invalid"},
	{"users", damagedRow, "LENGTH(users.id) <> 16", "its id has the wrong length"},
	{"access_keys", "user-missing", `NOT EXISTS (SELECT 1 FROM users WHERE users.id = access_keys.user_id)
		AND NOT EXISTS (SELECT 1 FROM identities WHERE identities.id = access_keys.user_id AND identities.kind = 1)`, "its user or tenant is missing"},
	{"access_keys", damagedRow, "access_keys.inactive NOT IN (0, 1)", "it is neither active nor inactive"},
	{"identities", damagedRow, "LENGTH(identities.id) <> 16 OR identities.kind NOT BETWEEN 1 AND 5 OR identities.revision < 1",
		"its id, kind or revision is invalid"},
	{"identities", "tenant-missing", "NOT EXISTS (SELECT 1 FROM users WHERE users.id = identities.tenant)", "its tenant is missing"},
	{"identities", "two-states", "EXISTS (SELECT 1 FROM users WHERE users.id = identities.id)", "a tenant has the same id"},
	{"holders", damagedRow, "LENGTH(holders.id) <> 16", "its id has the wrong length"},

	{"buckets", damagedRow, "LENGTH(buckets.id) <> 16 OR LENGTH(buckets.owner) <> 16", "an id has the wrong length"},
	{"buckets", damagedRow, "buckets.versioning NOT IN (0, 1, 2) OR buckets.locks NOT IN (0, 1) OR buckets.locks = 1 AND buckets.versioning <> 1",
		"its versioning is invalid, or not enabled although it has locks"},
	{"buckets", "backend-missing", unserved("buckets"), "its backend is missing or retired"},
	{"buckets", "seed-missing", "NOT EXISTS (SELECT 1 FROM bucket_seeds WHERE bucket_seeds.bucket_id = buckets.id)", "it has no seed"},
	{"buckets", "two-states", "EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = buckets.id)", "it exists and is also being deleted"},
	{"bucket_seeds", "bucket-missing", `NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = bucket_seeds.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = bucket_seeds.bucket_id)`, "its bucket is missing"},
	{"bucket_settings", "bucket-missing", `NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = bucket_settings.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = bucket_settings.bucket_id)`, "its bucket is missing"},

	{"objects", damagedRow, `LENGTH(objects.version_id) <> 16 OR LENGTH(objects.owner) <> 16 OR objects.size < 0
		OR objects.body_kind NOT IN (0, 1, 2) OR (objects.body_kind = 0) <> (objects.body_id IS NULL)
		OR objects.body_kind = 1 AND LENGTH(objects.body_id) <> 20 OR objects.body_kind = 2 AND LENGTH(objects.body_id) <> 16`,
		"its size, body or an id is invalid"},
	{"objects", "bucket-missing", "NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = objects.bucket_id)", "its bucket is missing"},
	{"objects", "seed-missing", `NOT EXISTS (SELECT 1 FROM bucket_seeds
		WHERE bucket_seeds.bucket_id = objects.bucket_id AND bucket_seeds.generation = objects.generation)`,
		"the seed of its generation is missing: it cannot be opened"},
	{"objects", damagedRow, changeable("objects"), "its lock, encryption or null flag is invalid"},
	{"objects", "version-state", neverVersions("objects") + " AND objects.null_version = 0", "it is a version with an id, but its bucket never had versioning"},
	{"objects", "version-order", `EXISTS (SELECT 1 FROM versions WHERE versions.bucket_id = objects.bucket_id
		AND versions.key = objects.key AND versions.rank <= objects.rank)`, "it is current, but another version is newer"},

	{"versions", damagedRow, `LENGTH(versions.version_id) <> 16 OR LENGTH(versions.public) <> 16 OR LENGTH(versions.owner) <> 16 OR versions.size < 0
		OR versions.body_kind NOT IN (0, 1, 2) OR (versions.body_kind = 0) <> (versions.body_id IS NULL)
		OR versions.body_kind = 1 AND LENGTH(versions.body_id) <> 20 OR versions.body_kind = 2 AND LENGTH(versions.body_id) <> 16
		OR versions.marker NOT IN (0, 1) OR versions.marker = 1 AND (versions.body_kind <> 0 OR versions.size <> 0)
		OR (versions.null_version = 0) <> (versions.public = versions.version_id)`, "its size, body or an id is invalid, or it is a marker with a body"},
	{"versions", damagedRow, changeable("versions"), "its lock, encryption or null flag is invalid"},
	{"versions", "bucket-missing", "NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = versions.bucket_id)", "its bucket is missing"},
	{"versions", "seed-missing", `versions.marker = 0 AND NOT EXISTS (SELECT 1 FROM bucket_seeds
		WHERE bucket_seeds.bucket_id = versions.bucket_id AND bucket_seeds.generation = versions.generation)`,
		"the seed of its generation is missing: it cannot be opened"},
	{"versions", "version-state", neverVersions("versions"), "its bucket never had versioning"},
	{"versions", "two-nulls", "versions.null_version = 1 AND " + heldBy("versions") + " AND objects.null_version = 1)", "the key has two null versions"},
	{"versions", "version-order", "versions.displaced IS NULL AND (versions.marker = 0 OR " + heldBy("versions") + ") OR " + newerThan("versions") + ")",
		"it is marked as current, but it is no delete marker or not the newest version"},
	{"versions", "version-order", "versions.displaced IS NOT NULL AND NOT " + heldBy("versions") + ") AND NOT " + newerThan("versions"),
		"it was displaced, but no version is newer"},
	{"usage", "bucket-missing", noBucket("usage"), "its bucket is missing"},
	{"usage_changes", "bucket-missing", noBucket("usage_changes"), "its bucket is missing"},
	{"entry_changes", "bucket-missing", noBucket("entry_changes"), "its bucket is missing"},

	{"renames", damagedRow, "LENGTH(renames.token) <> 32 OR LENGTH(renames.digest) <> 32", "its token or digest has the wrong length"},

	{"uploads", damagedRow, `LENGTH(uploads.id) <> 16 OR uploads.state NOT IN (1, 2, 3, 4) OR uploads.since IS NULL AND uploads.state <> 3
		OR (uploads.state IN (2, 4)) AND uploads.version_id IS NULL`, "its id, state, time or version is invalid"},
	{"uploads", "upload-state", "uploads.refs < 0 OR (uploads.state IN (2, 4)) <> (uploads.refs > 0)",
		"it has references but is not completed, or is completed without references"},
	{"uploads", "bucket-missing", `uploads.state = 1 AND NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = uploads.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = uploads.bucket_id)`,
		"it is open, but its bucket is missing"},
	{"uploads", "seed-missing", `uploads.state = 1 AND EXISTS (SELECT 1 FROM buckets WHERE buckets.id = uploads.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM bucket_seeds
			WHERE bucket_seeds.bucket_id = uploads.bucket_id AND bucket_seeds.generation = uploads.generation)`,
		"it is open, but the seed of its generation is missing"},
	{"parts", damagedRow, "parts.number NOT BETWEEN 1 AND 10000 OR LENGTH(parts.attempt) <> 16 OR LENGTH(parts.blobs) % 20 <> 0 OR parts.size < 0",
		"its number, attempt, size or blobs are invalid"},
	{"parts", "upload-missing", "NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.id = parts.upload_id)", "its upload is missing"},

	{"reservations", damagedRow, "LENGTH(reservations.id) <> 20", "its id has the wrong length"},
	{"reservations", "holder-missing", nobody("reservations"),
		"its holder is missing: it would stay for ever"},
	{"reservations", "backend-missing", unserved("reservations"), "its backend is missing or retired"},
	{"reservations", "two-states", `EXISTS (SELECT 1 FROM blobs WHERE blobs.id = reservations.id)
		OR EXISTS (SELECT 1 FROM condemned WHERE condemned.id = reservations.id)`, "the blob is both reserved and live or condemned"},
	{"copies", damagedRow, "LENGTH(copies.id) <> 20", "its id has the wrong length"},
	{"copies", "holder-missing", nobody("copies"),
		"its holder is missing: it would stay for ever"},
	{"copies", "backend-missing", unserved("copies"), "its backend is missing or retired"},
	{"copies", "two-states", `EXISTS (SELECT 1 FROM blobs WHERE blobs.id = copies.id AND blobs.backend = copies.backend)
		OR EXISTS (SELECT 1 FROM condemned WHERE condemned.id = copies.id AND condemned.backend = copies.backend)`,
		"a copy is being made, but the blob is live or condemned at the same backend"},
	{"blobs", damagedRow, "LENGTH(blobs.id) <> 20 OR blobs.refs < 1", "its id has the wrong length, or it has no references"},
	{"blobs", "backend-missing", unserved("blobs"), "its backend is missing or retired"},
	{"blobs", "two-states", "EXISTS (SELECT 1 FROM condemned WHERE condemned.id = blobs.id AND condemned.backend = blobs.backend)",
		"the blob is live and condemned at the same backend: it would be deleted"},
	{"condemned", damagedRow, "LENGTH(condemned.id) <> 20", "its id has the wrong length"},
	{"condemned", "backend-missing", "NOT EXISTS (SELECT 1 FROM backends WHERE backends.id = condemned.backend)", "its backend is missing"},
}
