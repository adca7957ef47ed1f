package iam

import "github.com/sanctum-storage/gateway/meta"

// actions holds all implemented actions of both APIs by name. Actions that
// exist for several kinds of identity share a handler.
var actions = func() map[string]action {
	all := make(map[string]action)
	add := func(service string, kind meta.IdentityKind, handlers map[string]func(*call) (any, error)) {
		for name, handle := range handlers {
			all[name] = action{service: service, kind: kind, handle: handle}
		}
	}
	add(serviceIAM, 0, map[string]func(*call) (any, error){
		"CreateUser": createUser, "GetUser": getUser, "ListUsers": listUsers, "DeleteUser": deleteUser,
		"CreateAccessKey": createAccessKey, "ListAccessKeys": listAccessKeys, "UpdateAccessKey": updateAccessKey,
		"DeleteAccessKey": deleteAccessKey, "GetAccessKeyLastUsed": getAccessKeyLastUsed,
		"CreatePolicy": createPolicy, "GetPolicy": getPolicy, "ListPolicies": listPolicies, "DeletePolicy": deletePolicy,
		"CreatePolicyVersion": createPolicyVersion, "GetPolicyVersion": getPolicyVersion, "ListPolicyVersions": listPolicyVersions,
		"SetDefaultPolicyVersion": setDefaultPolicyVersion, "DeletePolicyVersion": deletePolicyVersion,
		"ListEntitiesForPolicy": listEntitiesForPolicy,
		"CreateGroup":           createGroup, "GetGroup": getGroup, "ListGroups": listGroups, "DeleteGroup": deleteGroup,
		"AddUserToGroup": addUserToGroup, "RemoveUserFromGroup": removeUserFromGroup, "ListGroupsForUser": listGroupsForUser,
		"CreateRole": createRole, "GetRole": getRole, "ListRoles": listRoles, "UpdateRole": updateRole,
		"UpdateRoleDescription": updateRoleDescription, "DeleteRole": deleteRole,
		"UpdateAssumeRolePolicy":      updateAssumeRolePolicy,
		"CreateOpenIDConnectProvider": createProvider, "GetOpenIDConnectProvider": getProvider,
		"ListOpenIDConnectProviders": listProviders, "DeleteOpenIDConnectProvider": deleteProvider,
		"UpdateOpenIDConnectProviderThumbprint": updateThumbprints,
		"AddClientIDToOpenIDConnectProvider":    addClientID, "RemoveClientIDFromOpenIDConnectProvider": removeClientID,
		"GetAccountSummary": getAccountSummary, "ListAccountAliases": listAccountAliases,
	})
	holders := map[meta.IdentityKind]string{
		meta.IdentityUser: "User", meta.IdentityGroup: "Group", meta.IdentityRole: "Role",
	}
	for kind, name := range holders {
		add(serviceIAM, kind, map[string]func(*call) (any, error){
			"Attach" + name + "Policy": attach, "Detach" + name + "Policy": detach, "ListAttached" + name + "Policies": listAttached,
			"Put" + name + "Policy": putInline, "Get" + name + "Policy": getInline, "Delete" + name + "Policy": deleteInline,
			"List" + name + "Policies": listInline,
		})
	}
	for kind, name := range map[meta.IdentityKind]string{meta.IdentityUser: "User", meta.IdentityRole: "Role"} {
		add(serviceIAM, kind, map[string]func(*call) (any, error){
			"Put" + name + "PermissionsBoundary": setBoundary, "Delete" + name + "PermissionsBoundary": dropBoundary,
		})
	}
	tagged := map[meta.IdentityKind]string{
		meta.IdentityUser: "User", meta.IdentityRole: "Role", meta.IdentityPolicy: "Policy",
	}
	for kind, name := range tagged {
		add(serviceIAM, kind, map[string]func(*call) (any, error){
			"Tag" + name: tag, "Untag" + name: untag, "List" + name + "Tags": listTags,
		})
	}
	add(serviceIAM, meta.IdentityProvider, map[string]func(*call) (any, error){
		"TagOpenIDConnectProvider": tag, "UntagOpenIDConnectProvider": untag, "ListOpenIDConnectProviderTags": listTags,
	})
	add(serviceIAM, meta.IdentityUser, map[string]func(*call) (any, error){"UpdateUser": rename})
	add(serviceIAM, meta.IdentityGroup, map[string]func(*call) (any, error){"UpdateGroup": rename})
	absentActions(add)
	add(serviceSTS, 0, map[string]func(*call) (any, error){
		"GetCallerIdentity": getCallerIdentity, "AssumeRole": assumeRole, "GetSessionToken": getSessionToken,
		"AssumeRoleWithWebIdentity": assumeRoleWithWebIdentity,
	})
	// Its token proves the sender, who has no credential to sign with.
	web := all["AssumeRoleWithWebIdentity"]
	web.unsigned = true
	all["AssumeRoleWithWebIdentity"] = web
	return all
}()
