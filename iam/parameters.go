package iam

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Parameters of several actions.
const (
	pageParameters = " Marker MaxItems"
	listParameters = pageParameters + " PathPrefix"
	tagParameters  = " Tags.member.N.Key Tags.member.N.Value"
	narrowing      = " Policy PolicyArns.member.N.arn DurationSeconds"
)

// parameters are the supported parameters of each action; N stands for the
// numbers of a list. A request with any other is refused, because an ignored
// parameter may be one that restricts the effect. Actions that are not listed
// find and do nothing in any case: see absentActions.
// Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
var parameters = func() map[string][]string {
	all := make(map[string][]string)
	add := func(names, parameters string) {
		for _, name := range strings.Fields(names) {
			all[name] = append([]string{"Action", "Version"}, strings.Fields(parameters)...)
		}
	}
	add("CreateUser", "UserName Path PermissionsBoundary"+tagParameters)
	add("GetUser DeleteUser CreateAccessKey DeleteUserPermissionsBoundary", "UserName")
	add("ListUsers ListGroups ListRoles", listParameters)
	add("UpdateUser", "UserName NewUserName NewPath")
	add("ListAccessKeys ListGroupsForUser", "UserName"+pageParameters)
	add("UpdateAccessKey", "UserName AccessKeyId Status")
	add("DeleteAccessKey", "UserName AccessKeyId")
	add("GetAccessKeyLastUsed", "AccessKeyId")
	add("CreatePolicy", "PolicyName PolicyDocument Path Description"+tagParameters)
	add("GetPolicy DeletePolicy", "PolicyArn")
	add("ListPolicies", "Scope OnlyAttached PolicyUsageFilter"+listParameters)
	add("CreatePolicyVersion", "PolicyArn PolicyDocument SetAsDefault")
	add("GetPolicyVersion SetDefaultPolicyVersion DeletePolicyVersion", "PolicyArn VersionId")
	add("ListPolicyVersions", "PolicyArn"+pageParameters)
	add("ListEntitiesForPolicy", "PolicyArn EntityFilter PolicyUsageFilter"+listParameters)
	add("CreateGroup", "GroupName Path")
	add("GetGroup", "GroupName"+pageParameters)
	add("DeleteGroup", "GroupName")
	add("UpdateGroup", "GroupName NewGroupName NewPath")
	add("AddUserToGroup RemoveUserFromGroup", "GroupName UserName")
	add("CreateRole", "RoleName AssumeRolePolicyDocument Path Description MaxSessionDuration PermissionsBoundary"+tagParameters)
	add("GetRole DeleteRole DeleteRolePermissionsBoundary", "RoleName")
	add("UpdateRole", "RoleName Description MaxSessionDuration")
	add("UpdateRoleDescription", "RoleName Description")
	add("UpdateAssumeRolePolicy", "RoleName PolicyDocument")
	add("CreateOpenIDConnectProvider", "Url ClientIDList.member.N ThumbprintList.member.N"+tagParameters)
	add("GetOpenIDConnectProvider DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn")
	add("ListOpenIDConnectProviders GetAccountSummary GetCallerIdentity", "")
	add("AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider", "OpenIDConnectProviderArn ClientID")
	add("ListAccountAliases", pageParameters)
	for _, kind := range []string{"User", "Group", "Role"} {
		holder := kind + "Name"
		add("Attach"+kind+"Policy Detach"+kind+"Policy", holder+" PolicyArn")
		add("ListAttached"+kind+"Policies", holder+listParameters)
		add("Put"+kind+"Policy", holder+" PolicyName PolicyDocument")
		add("Get"+kind+"Policy Delete"+kind+"Policy", holder+" PolicyName")
		add("List"+kind+"Policies", holder+pageParameters)
	}
	add("PutUserPermissionsBoundary", "UserName PermissionsBoundary")
	add("PutRolePermissionsBoundary", "RoleName PermissionsBoundary")
	add("UpdateOpenIDConnectProviderThumbprint", "OpenIDConnectProviderArn ThumbprintList.member.N")
	tagged := map[string]string{
		"User": "UserName", "Role": "RoleName", "Policy": "PolicyArn", "OpenIDConnectProvider": "OpenIDConnectProviderArn",
	}
	for kind, named := range tagged {
		add("Tag"+kind, named+tagParameters)
		add("Untag"+kind, named+" TagKeys.member.N")
		add("List"+kind+"Tags", named+pageParameters)
	}
	add("AssumeRole", "RoleArn RoleSessionName ExternalId SourceIdentity TransitiveTagKeys.member.N"+narrowing+tagParameters)
	add("AssumeRoleWithWebIdentity", "RoleArn RoleSessionName WebIdentityToken"+narrowing)
	add("GetSessionToken", "DurationSeconds")
	return all
}()

// notHonoured are AWS's parameters that are never supported, with the reason.
var notHonoured = map[string]string{
	"SerialNumber":     "MFA devices are not supported",
	"TokenCode":        "MFA devices are not supported",
	"ProviderId":       "OAuth 2.0 providers are not supported; use OpenID Connect",
	"ProvidedContexts": "contexts of other providers are not supported",
}

// memberInfix separates the name of a list from the number of an entry.
const memberInfix = ".member."

// listEntry splits the number off the name of a list's entry. n is 0 for any
// other name.
func listEntry(name string) (pattern string, n int) {
	list, rest, found := strings.Cut(name, memberInfix)
	number, field, more := strings.Cut(rest, ".")
	entry, ok := strict.Number(number, maxParameters)
	// Only the shortest form of a number counts, so an entry has one name.
	if n = int(entry); !found || !ok || n < 1 || strconv.Itoa(n) != number {
		return name, 0
	}
	if more {
		field = "." + field
	}
	return list + memberInfix + "N" + field, n
}

// checkParameters refuses unsupported parameters and lists with gaps, whose
// later entries would be ignored.
func (f form) checkParameters(action string) error {
	honoured, acts := parameters[action]
	if !acts {
		return nil
	}
	// Entries can come in any order, so gaps show only at the end.
	entries := make(map[string]map[int]bool) // the numbers of each list
	for name, value := range f {
		pattern, n := listEntry(name)
		empty := value == "" && slices.ContainsFunc(honoured, func(p string) bool { return strings.HasPrefix(p, name+memberInfix) })
		if empty {
			continue // SDKs send empty lists in this form
		}
		if !slices.Contains(honoured, pattern) {
			return unhonoured(action, name)
		}
		if n > 0 {
			list, _, _ := strings.Cut(name, memberInfix)
			if entries[list] == nil {
				entries[list] = make(map[int]bool)
			}
			entries[list][n] = true
		}
	}
	// An entry after a gap would not be read.
	for list, numbers := range entries {
		for n := range len(numbers) {
			if !numbers[n+1] {
				return s3err.New(s3err.ValidationError, "The list %s has no entry %d.", list, n+1)
			}
		}
	}
	return f.checkPathPrefix()
}

// maxPathPrefix is in characters.
const maxPathPrefix = 512

// checkPathPrefix refuses a prefix that no path can have, because the list
// would be empty.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
func (f form) checkPathPrefix() error {
	p := f["PathPrefix"]
	if p != "" && (p[0] != '/' || len(p) > maxPathPrefix || strings.ContainsFunc(p, func(r rune) bool { return r < '!' || r > '~' })) {
		return s3err.New(s3err.ValidationError, "PathPrefix must begin with a slash and have at most %d printable ASCII characters.", maxPathPrefix)
	}
	return nil
}

// unhonoured refuses a parameter, with the reason if there is one.
func unhonoured(action, name string) error {
	first, _, _ := strings.Cut(name, ".")
	if why := notHonoured[first]; why != "" {
		return s3err.New(s3err.ValidationError, "The parameter %s is not supported: %s.", clip(name), why)
	}
	return s3err.New(s3err.ValidationError, "%s does not support the parameter %s.", action, clip(name))
}

// choice returns a parameter with one of a few values; "" when it is absent.
func (f form) choice(name string, values ...string) (string, error) {
	v := f[name]
	if v != "" && !slices.Contains(values, v) {
		return "", s3err.New(s3err.ValidationError, "%s must be one of %s.", name, strings.Join(values, ", "))
	}
	return v, nil
}
