package sqlstore

// rule is a condition that no row of a table meets, unless it contradicts itself
// or others. Where it asks other tables, it does so by a key or an index.
type rule struct {
	table  string
	kind   string
	broken string // SQL that every engine runs, the table's columns qualified
	detail string
}

// unserved is the condition that a table's row is at a backend that takes nothing.
func unserved(table string) string {
	return "NOT EXISTS (SELECT 1 FROM backends WHERE backends.id = " + table + ".backend AND backends.state <> 3)"
}

// The numbers of states and kinds are those of the migrations' comments.
var rules = []rule{
	{"deployment", "unfinished-copy", "deployment.state = 2", "the store is an unfinished copy: run gateway db copy again"},
	{"deployment", damagedRow, "deployment.state NOT IN (1, 2, 3) OR LENGTH(deployment.id) <> 16", "state or id is none"},
	{"deployment", "user-missing", "NOT EXISTS (SELECT 1 FROM users WHERE users.id = deployment.root)", "the root user is not there"},

	{"backends", damagedRow, "backends.id NOT BETWEEN 1 AND 64 OR backends.state NOT IN (1, 2, 3) OR backends.epoch < 1",
		"number, state or epoch is none"},
	{"backends", "backend-name", "(backends.state = 3) <> (backends.living IS NULL) OR backends.living <> backends.name",
		"the name is not kept for it, or kept though it is retired"},
	{"backends", "drain-target", `(backends.state = 2) <> (backends.drain_target IS NOT NULL)
		OR backends.drain_target IS NOT NULL AND NOT EXISTS (SELECT 1 FROM backends AS target
			WHERE target.id = backends.drain_target AND target.state = 1 AND target.id <> backends.id)`,
		"it drains, and into no other active backend, or has a target though it does not"},

	{"leases", damagedRow, "leases.fence < 1 OR LENGTH(leases.holder) <> 16", "fence or holder is none"},
	{"users", damagedRow, "LENGTH(users.id) <> 16", "the id has another length"},
	{"access_keys", "user-missing", `NOT EXISTS (SELECT 1 FROM users WHERE users.id = access_keys.user_id)
		AND NOT EXISTS (SELECT 1 FROM identities WHERE identities.id = access_keys.user_id AND identities.kind = 1)`, "its user is not there"},
	{"access_keys", damagedRow, "access_keys.inactive NOT IN (0, 1)", "it is neither active nor inactive"},
	{"identities", damagedRow, "LENGTH(identities.id) <> 16 OR identities.kind NOT BETWEEN 1 AND 5 OR identities.revision < 1",
		"id, kind or revision is none"},
	{"identities", "tenant-missing", "NOT EXISTS (SELECT 1 FROM users WHERE users.id = identities.tenant)", "its tenant is not there"},
	{"identities", "two-states", "EXISTS (SELECT 1 FROM users WHERE users.id = identities.id)", "it has the id of a tenant"},
	{"holders", damagedRow, "LENGTH(holders.id) <> 16", "the id has another length"},

	{"buckets", damagedRow, "LENGTH(buckets.id) <> 16 OR LENGTH(buckets.owner) <> 16", "an id has another length"},
	{"buckets", "backend-missing", unserved("buckets"), "its backend is not registered, or retired"},
	{"buckets", "seed-missing", "NOT EXISTS (SELECT 1 FROM bucket_seeds WHERE bucket_seeds.bucket_id = buckets.id)", "it has no seed"},
	{"buckets", "two-states", "EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = buckets.id)", "it is there, and also dying"},
	{"bucket_seeds", "bucket-missing", `NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = bucket_seeds.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = bucket_seeds.bucket_id)`, "its bucket is not there, nor dying"},
	{"bucket_settings", "bucket-missing", `NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = bucket_settings.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = bucket_settings.bucket_id)`, "its bucket is not there, nor dying"},

	{"objects", damagedRow, `LENGTH(objects.version_id) <> 16 OR LENGTH(objects.owner) <> 16 OR objects.size < 0
		OR objects.body_kind NOT IN (0, 1, 2) OR (objects.body_kind = 0) <> (objects.body_id IS NULL)
		OR objects.body_kind = 1 AND LENGTH(objects.body_id) <> 20 OR objects.body_kind = 2 AND LENGTH(objects.body_id) <> 16`,
		"size, body or an id is none"},
	{"objects", "bucket-missing", "NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = objects.bucket_id)", "its bucket is not there"},
	{"objects", "seed-missing", `NOT EXISTS (SELECT 1 FROM bucket_seeds
		WHERE bucket_seeds.bucket_id = objects.bucket_id AND bucket_seeds.generation = objects.generation)`,
		"the seed of its generation is not there: it cannot be opened"},

	{"uploads", damagedRow, `LENGTH(uploads.id) <> 16 OR uploads.state NOT IN (1, 2, 3, 4) OR uploads.since IS NULL AND uploads.state <> 3
		OR (uploads.state IN (2, 4)) AND uploads.version_id IS NULL`, "id, state, time or version is none"},
	{"uploads", "upload-state", "uploads.refs < 0 OR (uploads.state IN (2, 4)) <> (uploads.refs > 0)",
		"only a completed upload is referred to, and it is"},
	{"uploads", "bucket-missing", `uploads.state = 1 AND NOT EXISTS (SELECT 1 FROM buckets WHERE buckets.id = uploads.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM dying_buckets WHERE dying_buckets.id = uploads.bucket_id)`,
		"it is open, and its bucket is not there, nor dying"},
	{"uploads", "seed-missing", `uploads.state = 1 AND EXISTS (SELECT 1 FROM buckets WHERE buckets.id = uploads.bucket_id)
		AND NOT EXISTS (SELECT 1 FROM bucket_seeds
			WHERE bucket_seeds.bucket_id = uploads.bucket_id AND bucket_seeds.generation = uploads.generation)`,
		"it is open, and the seed of its generation is not there"},
	{"parts", damagedRow, "parts.number NOT BETWEEN 1 AND 10000 OR LENGTH(parts.attempt) <> 16 OR LENGTH(parts.blobs) % 20 <> 0 OR parts.size < 0",
		"number, attempt, size or blobs are none"},
	{"parts", "upload-missing", "NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.id = parts.upload_id)", "its upload is not there"},

	{"reservations", damagedRow, "LENGTH(reservations.id) <> 20", "the id has another length"},
	{"reservations", "holder-missing", "NOT EXISTS (SELECT 1 FROM holders WHERE holders.id = reservations.holder)",
		"its holder is not there: it would stay for ever"},
	{"reservations", "backend-missing", unserved("reservations"), "its backend is not registered, or retired"},
	{"reservations", "two-states", `EXISTS (SELECT 1 FROM blobs WHERE blobs.id = reservations.id)
		OR EXISTS (SELECT 1 FROM condemned WHERE condemned.id = reservations.id)`, "the blob is reserved, and also live or condemned"},
	{"blobs", damagedRow, "LENGTH(blobs.id) <> 20 OR blobs.refs < 1", "the id has another length, or nothing refers to it"},
	{"blobs", "backend-missing", unserved("blobs"), "its backend is not registered, or retired"},
	{"blobs", "two-states", "EXISTS (SELECT 1 FROM condemned WHERE condemned.id = blobs.id AND condemned.backend = blobs.backend)",
		"the blob is live and condemned at the same backend: it would be deleted"},
	{"condemned", damagedRow, "LENGTH(condemned.id) <> 20", "the id has another length"},
	{"condemned", "backend-missing", "NOT EXISTS (SELECT 1 FROM backends WHERE backends.id = condemned.backend)", "its backend is not registered"},
}
