package admin

import (
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/sanctum-storage/gateway/s3err"
)

// route is one call: how it is reached, and all that goes in and comes out. The server
// refuses a body or parameter that the row does not have, answers with its status, and
// docs/admin-api.md is made of the rows.
type route struct {
	method, path string // the path as chi has it, below /v1
	action       string // in policies, after "sanctum:"
	does         string
	query        []string // the parameters that it takes
	takes        any      // the body, as a zero value; nil: none
	status       int      // of success
	answers      any      // the body of success, as a zero value; nil: none
	faults       []fault  // besides those that any call may have
	handle       handler
}

// fault is an error of a call, and when it occurs.
type fault struct {
	code s3err.Code
	when string
}

// paging are the parameters of a listing in pages: see request.page.
var paging = []string{"after", "limit"}

// Faults of several calls.
var (
	noTenant     = fault{s3err.NoSuchEntity, "there is no such tenant"}
	noUser       = fault{s3err.NoSuchEntity, "there is no such tenant or user"}
	noBackend    = fault{s3err.NoSuchEntity, "there is no such backend"}
	noBucket     = fault{s3err.NoSuchBucket, "there is no such bucket"}
	badPage      = fault{s3err.InvalidArgument, "`limit` is not a number from 1 to 1000"}
	badKey       = fault{s3err.InvalidArgument, "the access key or secret key has a form that is not allowed"}
	keyTaken     = fault{s3err.EntityAlreadyExists, "the access key exists already"}
	badLimit     = fault{s3err.InvalidArgument, "a limit is below zero"}
	rotating     = fault{s3err.EntityAlreadyExists, "keys are being rotated already"}
	rotatingAway = fault{s3err.ServiceUnavailable, "the key provider is away, or the store is known to be older than its storage"}
	editedList   = fault{s3err.InvalidRequest, "the list of revocations was edited, and is not restored as a whole"}
	userLimits   = fault{s3err.InvalidArgument, "a limit is below zero, or one that users cannot have"}
)

// table has every call, in the order of docs/admin-api.md.
var table = []route{
	{"POST", "/tenants", "CreateTenant", "Creates a tenant with the first credential of its root.",
		nil, CreateTenant{}, 201, NewTenant{}, []fault{
			{s3err.InvalidArgument, "the name, access key or secret key has a form that is not allowed, or no backend has the residency"},
			{s3err.EntityAlreadyExists, "the name or the access key exists already"},
		}, (*Server).createTenant},
	{"GET", "/tenants", "ListTenants", "Lists tenants, ordered by name.",
		paging, nil, 200, Tenants{}, []fault{badPage}, (*Server).listTenants},
	{"GET", "/tenants/{tenant}", "GetTenant", "Shows a tenant.",
		nil, nil, 200, Tenant{}, []fault{noTenant}, (*Server).getTenant},
	{"DELETE", "/tenants/{tenant}", "DeleteTenant", "Removes a tenant that owns no bucket, with its users, roles, policies and credentials.",
		nil, nil, 204, nil, []fault{noTenant,
			{s3err.InvalidArgument, "it is the tenant `root`"},
			{s3err.DeleteConflict, "the tenant owns a bucket"},
		}, (*Server).deleteTenant},
	{"PUT", "/tenants/{tenant}/residency", "SetResidency", "Sets the residency of the buckets that the tenant creates from now on.",
		nil, SetResidency{}, 204, nil, []fault{noTenant,
			{s3err.InvalidArgument, "no backend has the name, region or jurisdiction"},
		}, (*Server).setResidency},

	{"POST", "/tenants/{tenant}/users", "CreateUser", "Creates a user of the tenant with its first credential.",
		nil, CreateUser{}, 201, NewUser{}, []fault{noTenant, badKey, keyTaken,
			{s3err.ValidationError, "the name has a form that is not allowed"},
			{s3err.EntityAlreadyExists, "the tenant has a user with this name, regardless of case"},
			{s3err.MalformedPolicyDocument, "the policy is malformed"},
			{s3err.LimitExceeded, "the policy is too long, or the tenant has 5000 users"},
		}, (*Server).createUser},
	{"GET", "/tenants/{tenant}/users", "ListUsers", "Lists the tenant's users, ordered by name.",
		paging, nil, 200, Users{}, []fault{noTenant, badPage}, (*Server).listUsers},
	{"DELETE", "/tenants/{tenant}/users/{user}", "DeleteUser", "Removes a user with its credentials, whatever rights it has.",
		nil, nil, 204, nil, []fault{noUser}, (*Server).deleteUser},

	{"POST", "/tenants/{tenant}/access-keys", "CreateAccessKey", "Gives the tenant's root another credential.",
		nil, CreateAccessKey{}, 201, NewTenant{}, []fault{noTenant, badKey, keyTaken,
			{s3err.LimitExceeded, "the root has 10 credentials"},
		}, (*Server).createAccessKey},
	{"GET", "/tenants/{tenant}/access-keys", "ListAccessKeys", "Lists the credentials of the tenant's root, without their secrets.",
		nil, nil, 200, AccessKeys{}, []fault{noTenant}, (*Server).listAccessKeys},
	{"POST", "/tenants/{tenant}/users/{user}/access-keys", "CreateAccessKey", "Gives a user another credential.",
		nil, CreateAccessKey{}, 201, NewUser{}, []fault{noUser, badKey, keyTaken,
			{s3err.LimitExceeded, "the user has 2 credentials"},
		}, (*Server).createAccessKey},
	{"GET", "/tenants/{tenant}/users/{user}/access-keys", "ListAccessKeys", "Lists a user's credentials, without their secrets.",
		nil, nil, 200, AccessKeys{}, []fault{noUser}, (*Server).listAccessKeys},
	{"DELETE", "/access-keys/{key}", "DeleteAccessKey", "Removes a credential of any holder. Gateways may accept it for another 2 seconds.",
		nil, nil, 204, nil, []fault{{s3err.NoSuchEntity, "there is no such access key"}}, (*Server).deleteAccessKey},

	{"GET", "/tenants/{tenant}/limits", "GetLimits", "Shows a tenant's limits and usage.",
		nil, nil, 200, Limits{}, []fault{noTenant}, (*Server).getTenantLimits},
	{"PUT", "/tenants/{tenant}/limits", "SetLimits", "Replaces all limits of a tenant.",
		nil, SetLimits{}, 204, nil, []fault{noTenant, badLimit}, (*Server).setTenantLimits},
	{"PATCH", "/tenants/{tenant}/limits", "SetLimits", "Changes the limits of a tenant that are in the body.",
		nil, SetLimits{}, 204, nil, []fault{noTenant, badLimit}, (*Server).setTenantLimits},
	{"GET", "/tenants/{tenant}/users/{user}/limits", "GetLimits", "Shows a user's limits.",
		nil, nil, 200, Limits{}, []fault{noUser}, (*Server).getUserLimits},
	{"PUT", "/tenants/{tenant}/users/{user}/limits", "SetLimits", "Replaces all limits of a user.",
		nil, SetLimits{}, 204, nil, []fault{noUser, userLimits}, (*Server).setUserLimits},
	{"PATCH", "/tenants/{tenant}/users/{user}/limits", "SetLimits", "Changes the limits of a user that are in the body.",
		nil, SetLimits{}, 204, nil, []fault{noUser, userLimits}, (*Server).setUserLimits},
	{"GET", "/buckets/{bucket}/limits", "GetLimits", "Shows a bucket's limits and usage.",
		nil, nil, 200, Limits{}, []fault{noBucket}, (*Server).getBucketLimits},
	{"PUT", "/buckets/{bucket}/limits", "SetLimits", "Replaces all limits of a bucket.",
		nil, SetLimits{}, 204, nil, []fault{noBucket, badLimit}, (*Server).setBucketLimits},
	{"PATCH", "/buckets/{bucket}/limits", "SetLimits", "Changes the limits of a bucket that are in the body.",
		nil, SetLimits{}, 204, nil, []fault{noBucket, badLimit}, (*Server).setBucketLimits},

	{"GET", "/buckets", "ListBuckets",
		"Lists the buckets of all tenants, ordered by name, or those whose names begin with `prefix`.",
		[]string{"after", "limit", "prefix"}, nil, 200, Buckets{}, []fault{badPage}, (*Server).listBuckets},
	{"GET", "/buckets/{bucket}", "GetBucket", "Shows a bucket with its properties.",
		nil, nil, 200, BucketProperties{}, []fault{noBucket}, (*Server).getBucket},
	{"PATCH", "/buckets/{bucket}", "SetBucket", "Changes the properties of a bucket that are in the body.",
		nil, SetBucket{}, 204, nil, []fault{noBucket,
			{s3err.InvalidArgument, "there is no such padding"},
		}, (*Server).setBucket},

	{"GET", "/buckets/{bucket}/keys", "ListGenerations", "Lists the generations of a bucket's keys, the newest first.",
		nil, nil, 200, Generations{}, []fault{noBucket}, (*Server).listGenerations},
	{"POST", "/buckets/{bucket}/keys", "RotateKeys",
		"Gives a bucket a new generation of its keys, by which everything is written at once, and starts the rotation.",
		nil, nil, 200, NewGeneration{}, []fault{noBucket, rotating, rotatingAway,
			{s3err.InvalidRequest, "the bucket has 16 generations, or rows of an earlier release are being sealed"},
			{s3err.KMSDisabled, "the current key of the key provider is disabled"},
			{s3err.KMSNotFound, "the current key of the key provider does not exist"},
		}, (*Server).rotateBucket},
	{"DELETE", "/buckets/{bucket}/keys/{generation}", "DestroyGeneration",
		"Destroys a former generation of a bucket's keys, after a look at every row of the bucket.",
		nil, nil, 204, nil, []fault{noBucket,
			{s3err.NoSuchEntity, "the bucket has no such former generation"},
			{s3err.InvalidArgument, "the generation is not a number"},
			{s3err.InvalidRequest, "rows refer to the generation, it is the newest, or keys are being rotated or rewrapped"},
		}, (*Server).destroyGeneration},

	{"GET", "/backends", "ListBackends", "Lists all backends, including retired ones.",
		nil, nil, 200, Backends{}, nil, (*Server).listBackends},
	{"GET", "/backends/{backend}/stored", "CountStored",
		"Counts a run of the blobs that a backend says it has, starting after `after` or with the first one. " +
			"Blobs that wait to be deleted count.",
		[]string{"after"}, nil, 200, Stored{}, []fault{noBackend,
			{s3err.InvalidArgument, "`after` is not a blob's name, or the backend is not configured on this gateway"},
			{s3err.ServiceUnavailable, "the backend is away"},
		}, (*Server).countStored},
	{"POST", "/backends/{backend}/drain", "DrainBackend",
		"Starts moving all blobs of a backend to another one, or changes the target.",
		nil, DrainBackend{}, 204, nil, []fault{noBackend,
			{s3err.InvalidArgument, "the target is the backend itself, is not configured or not active, " +
				"or does not meet a bucket's residency"},
			{s3err.ServiceUnavailable, "the target is away"},
		}, (*Server).drainBackend},
	{"DELETE", "/backends/{backend}/drain", "CancelDrain", "Ends draining. Moved blobs stay at the target.",
		nil, nil, 204, nil, []fault{noBackend, {s3err.InvalidArgument, "the backend is not draining"}}, (*Server).cancelDrain},
	{"DELETE", "/backends/{backend}/doubtful", "DiscardDoubtful", "Deletes the blobs in doubt of a backend.",
		nil, nil, 200, Discarded{}, []fault{noBackend}, (*Server).discardDoubtful},

	{"GET", "/keys", "ListKeys",
		"Counts the seeds that are under each key, in pages of seeds. The first page has the system's seed alone.",
		paging, nil, 200, Keys{}, []fault{
			{s3err.InvalidArgument, "`limit` is not a number from 1 to 1000, or `after` is not a `next` of this call"},
		}, (*Server).listKeys},
	{"GET", "/keys/rewrap", "GetRewrap", "Shows how far the rewrapping of seeds is, or how the last one ended.",
		nil, nil, 200, Rewrap{}, []fault{{s3err.NoSuchEntity, "seeds were never rewrapped"}}, (*Server).getRewrap},
	{"POST", "/keys/rewrap", "StartRewrap",
		"Starts bringing all seeds under the current key of the key provider. The gateways do it in the background.",
		nil, nil, 204, nil, []fault{
			{s3err.EntityAlreadyExists, "seeds are being rewrapped already"},
			{s3err.ServiceUnavailable, "the key provider is away"},
			{s3err.KMSDisabled, "the current key is disabled"},
			{s3err.KMSNotFound, "the current key does not exist"},
		}, (*Server).startRewrap},
	{"DELETE", "/keys/rewrap", "StopRewrap", "Stops rewrapping. Seeds that were rewrapped stay so, and another start goes on.",
		nil, nil, 204, nil, []fault{{s3err.NoSuchEntity, "no seeds are being rewrapped"}}, (*Server).stopRewrap},
	{"GET", "/keys/revocations", "ListRevocations", "Lists the revocations of keys that are in force.",
		nil, nil, 200, Revocations{}, nil, (*Server).listRevocations},
	{"POST", "/keys/revocations", "RevokeKeys",
		"Takes away the keys of a bucket, of a key provider, or of all buckets: within 5 seconds no gateway has them in memory or fetches them.",
		nil, RevokeKeys{}, 204, nil, []fault{noBucket,
			{s3err.InvalidArgument, "not one thing is named, or no key provider has the name"},
			{s3err.EntityAlreadyExists, "these keys are revoked already"},
			{s3err.LimitExceeded, "40 revocations are in force"},
			editedList,
		}, (*Server).revokeKeys},
	{"POST", "/keys/revocations/restore", "RestoreKeys",
		"Takes a revocation back. That of all buckets also writes the list anew after it was edited.",
		nil, RevokeKeys{}, 204, nil, []fault{
			{s3err.InvalidArgument, "not one thing is named"},
			{s3err.NoSuchEntity, "these keys are not revoked"},
			editedList,
		}, (*Server).restoreKeys},
	{"GET", "/keys/rotation", "GetRotation", "Shows how far the rotation of buckets' keys is, or how the last one ended.",
		nil, nil, 200, Rotation{}, []fault{{s3err.NoSuchEntity, "keys were never rotated"}}, (*Server).getRotation},
	{"POST", "/keys/rotation", "StartRotation",
		"Starts bringing everything under the newest generation of its bucket's keys, of which each bucket gets one first " +
			"if all are asked for. The gateways do it in the background.",
		nil, StartRotation{}, 204, nil, []fault{rotating}, (*Server).startRotation},
	{"DELETE", "/keys/rotation", "StopRotation", "Stops the rotation. Rows that were rewrapped stay so, and another start goes on.",
		nil, nil, 204, nil, []fault{{s3err.NoSuchEntity, "no keys are being rotated"}}, (*Server).stopRotation},
}

// everywhere are the errors that any call may have, after those of its row.
var everywhere = []fault{
	{s3err.AccessDenied, "the request is unsigned, is not signed in its `Authorization` header including its body, " +
		"or the signer is not the operator"},
	{s3err.InvalidAccessKeyID, "the access key of the signature does not exist or is inactive"},
	{s3err.SignatureDoesNotMatch, "the secret key is wrong, or the request was changed after signing"},
	{s3err.AuthorizationHeaderMalformed, "the `Authorization` header is malformed, or for another region or service"},
	{s3err.AuthorizationQueryParametersError, "the signature is in the URL, and malformed"},
	{s3err.RequestTimeTooSkewed, "the clocks of client and gateway are more than 15 minutes apart"},
	{s3err.InvalidToken, "the credential is temporary"},
	{s3err.ContentSHA256Mismatch, "the body was changed after signing"},
	{s3err.InvalidRequest, "the body is not one JSON object of the fields below, repeats one of them, or is sent with a call " +
		"that takes none; or `x-amz-content-sha256` is missing"},
	{s3err.InvalidArgument, "the call does not have the parameter, or `x-amz-content-sha256` is malformed"},
	{s3err.MaxMessageLengthExceeded, "the body is longer than 64 KiB"},
	{s3err.IncompleteBody, "the body ended early"},
	{s3err.InvalidURI, "the path or a parameter has a malformed escape"},
	{s3err.URITooLong, "the path or the parameters are too long"},
	{s3err.NoSuchEntity, "there is no such path"},
	{s3err.MethodNotAllowed, "the path has no such method"},
	{s3err.ConcurrentModification, "others changed the same thing again and again. Try again"},
	{s3err.OperationAborted, "the same"},
	{s3err.InsufficientStorage, "the store's disk is full"},
	{s3err.ServiceUnavailable, "the store does not answer. Try again"},
	{s3err.InternalError, "another error. The log has it under the request id"},
}

// routes makes the router of the table. serve refuses a request before its
// handler unless the signer may take the action.
func (s *Server) routes() chi.Router {
	r := chi.NewRouter()
	r.Route("/v1", func(r chi.Router) {
		for i := range table {
			r.Method(table[i].method, table[i].path, s.serve(&table[i]))
		}
	})
	r.NotFound(s.serve(&route{handle: notFound}))
	r.MethodNotAllowed(s.serve(&route{handle: methodNotAllowed}))
	return r
}

// fits refuses a body or parameters that the row does not have. It checks names
// only.
func (rt *route) fits(r *request) error {
	if rt.takes == nil && len(r.body) > 0 {
		return s3err.New(s3err.InvalidRequest, "This call takes no body.")
	}
	for _, p := range r.query {
		if !slices.Contains(rt.query, p.Name) {
			return s3err.New(s3err.InvalidArgument, "This call has no parameter %q.", p.Name)
		}
	}
	return nil
}
