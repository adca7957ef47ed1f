package iam

import (
	"slices"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// The families of condition keys that are tags.
const (
	requestTag     = "aws:RequestTag/"
	resourceTag    = "aws:ResourceTag/"
	iamResourceTag = "iam:ResourceTag/"
)

// boundaryKey is the ARN of a boundary: the present one, or the one that is
// being set.
const boundaryKey = "iam:PermissionsBoundary"

// resourceTags returns the condition keys of an identity's tags, alternating
// with their values.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
func resourceTags(i *accounts.Identity) (keys []string) {
	for _, t := range i.Tags {
		keys = append(keys, resourceTag+t.Key, t.Value)
		if i.Kind == meta.IdentityUser || i.Kind == meta.IdentityRole {
			keys = append(keys, iamResourceTag+t.Key, t.Value)
		}
	}
	return keys
}

// boundedActions are the actions with the boundary of the user or role that
// they change as a condition key. So an administrator can be limited to users
// with a boundary. Actions that set a boundary show the new one.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate
var boundedActions = []string{
	"AttachUserPolicy", "AttachRolePolicy", "DetachUserPolicy", "DetachRolePolicy", "PutUserPolicy", "PutRolePolicy",
	"DeleteUserPolicy", "DeleteRolePolicy", "DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary",
}

// ofResource returns the condition keys of the identity that an action is
// about.
func (c *call) ofResource(i *accounts.Identity) ([]string, error) {
	keys := resourceTags(i)
	if !slices.Contains(boundedActions, c.name) {
		return keys, nil
	}
	boundary, err := c.boundaryShown(*i)
	if err == nil && boundary != nil && boundary.PermissionsBoundaryArn != "" {
		keys = append(keys, boundaryKey, boundary.PermissionsBoundaryArn)
	}
	return keys, err
}
