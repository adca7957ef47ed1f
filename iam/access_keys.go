package iam

import (
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// accessKeyXML has the secret only in the answer that created it.
type accessKeyXML struct {
	UserName        string `xml:",omitempty"`
	AccessKeyId     string
	Status          string
	SecretAccessKey string `xml:",omitempty"`
	CreateDate      string
}

// status is the name of a key's state in these APIs.
func status(inactive bool) string {
	if inactive {
		return "Inactive"
	}
	return "Active"
}

// keyHolder returns the holder of the access keys that an action is about: the
// named user, or the caller, who may be the tenant's root.
func (c *call) keyHolder() (id meta.ID, name string, err error) {
	// Only the root has access keys without a user. It names none.
	if c.form["UserName"] == "" && c.principal.Kind == access.Root {
		if err := c.allow(c.principal.ARN()); err != nil {
			return id, "", err
		}
		return c.tenant(), "", nil
	}
	u, err := c.self()
	return u.ID, u.Name, err
}

// createAccessKey shows the new secret, for the only time.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
func createAccessKey(c *call) (any, error) {
	id, name, err := c.keyHolder()
	if err != nil {
		return nil, err
	}
	made, err := c.Accounts.CreateAccessKey(c.ctx, c.cred.Tenant, id, "", "")
	if err != nil {
		return nil, err
	}
	return struct{ AccessKey accessKeyXML }{
		accessKeyXML{name, made.AccessKey, status(false), made.SecretKey, stamp(c.now())},
	}, nil
}

// listAccessKeys shows no secrets.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html
func listAccessKeys(c *call) (any, error) {
	id, name, err := c.keyHolder()
	if err != nil {
		return nil, err
	}
	keys, err := c.Accounts.AccessKeys(c.ctx, id)
	if err != nil {
		return nil, err
	}
	page, end, err := cut(c.form, keys, func(k meta.AccessKey) string { return k.ID })
	return struct {
		AccessKeyMetadata members[accessKeyXML]
		paging
	}{membersOf(page, func(k meta.AccessKey) accessKeyXML {
		return accessKeyXML{UserName: name, AccessKeyId: k.ID, Status: status(k.Inactive), CreateDate: stamp(k.Created)}
	}), end}, err
}

// ownKey returns the parameter AccessKeyId if the holder has such a key.
func (c *call) ownKey() (string, error) {
	key, err := c.form.need("AccessKeyId")
	if err != nil {
		return "", err
	}
	id, _, err := c.keyHolder()
	if err != nil {
		return "", err
	}
	// The key must be one of the holder's: a permission to manage a user's keys
	// is not one for the keys of others.
	keys, err := c.Accounts.AccessKeys(c.ctx, id)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(keys, func(k meta.AccessKey) bool { return k.ID == key }) {
		return "", s3err.New(s3err.NoSuchEntity, "The Access Key with id %s cannot be found.", clip(key))
	}
	return key, nil
}

// updateAccessKey disables or enables a key.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
func updateAccessKey(c *call) (any, error) {
	want := c.form["Status"]
	if want != status(true) && want != status(false) {
		return nil, s3err.New(s3err.ValidationError, "Status must be Active or Inactive.")
	}
	key, err := c.ownKey()
	if err != nil {
		return nil, err
	}
	return nil, c.Accounts.SetAccessKeyInactive(c.ctx, key, want == status(true))
}

// deleteAccessKey removes a key of the holder.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html
func deleteAccessKey(c *call) (any, error) {
	key, err := c.ownKey()
	if err != nil {
		return nil, err
	}
	return nil, c.Accounts.DeleteAccessKey(c.ctx, key)
}

// getAccessKeyLastUsed shows the holder of a key. The last use is not recorded.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
func getAccessKeyLastUsed(c *call) (any, error) {
	key, err := c.form.need("AccessKeyId")
	if err != nil {
		return nil, err
	}
	// A key of another account has the same answer as one that does not exist.
	gone := s3err.New(s3err.AccessDenied, "The access key %s does not belong to the account.", clip(key))
	id, err := c.Accounts.AccessKeyHolder(c.ctx, key)
	if err != nil {
		if s3err.From(err).Code == s3err.NoSuchEntity {
			return nil, gone
		}
		return nil, err
	}
	name := c.cred.Tenant.Name
	if id == c.tenant() {
		err = c.allow("arn:aws:iam::" + c.principal.Account + ":root")
	} else {
		found, _, lost := c.Accounts.IdentitiesByID(c.ctx, []meta.ID{id})
		if lost != nil {
			return nil, lost
		}
		u, ok := found[id]
		if !ok || u.Tenant != c.tenant() {
			return nil, gone
		}
		name, err = u.Name, c.allowOn(&u, nil)
	}
	if err != nil {
		return nil, err
	}
	return struct {
		UserName          string
		AccessKeyLastUsed struct{ Region, ServiceName string }
	}{name, struct{ Region, ServiceName string }{"N/A", "N/A"}}, nil
}
