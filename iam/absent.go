package iam

import (
	"encoding/xml"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Things that users, roles and accounts have on AWS but not here: passwords,
// MFA devices, certificates, keys for other services, instance profiles.
// Clients ask whether any exist, above all before they delete a user or role.

// absentLists are the actions that list such things, each with the element of
// its list.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
var absentLists = map[meta.IdentityKind]map[string]string{
	meta.IdentityUser: {
		"ListMFADevices": "MFADevices", "ListSSHPublicKeys": "SSHPublicKeys", "ListSigningCertificates": "Certificates",
		"ListServiceSpecificCredentials": "ServiceSpecificCredentials",
	},
	meta.IdentityRole: {"ListInstanceProfilesForRole": "InstanceProfiles"},
	0: {
		"ListInstanceProfiles": "InstanceProfiles", "ListVirtualMFADevices": "VirtualMFADevices",
		"ListServerCertificates": "ServerCertificateMetadataList", "ListSAMLProviders": "SAMLProviderList",
	},
}

// absentEntities are the actions about one such thing, each with the parameter
// that names it and its label in AWS's message.
var absentEntities = map[meta.IdentityKind]map[string]struct{ parameter, label string }{
	meta.IdentityUser: {
		"GetLoginProfile":     {"UserName", "Login Profile for User"},
		"UpdateLoginProfile":  {"UserName", "Login Profile for User"},
		"DeleteLoginProfile":  {"UserName", "Login Profile for User"},
		"DeactivateMFADevice": {"SerialNumber", "MFA Device with serial number"},
		"GetMFADevice":        {"SerialNumber", "MFA Device with serial number"},
		"GetSSHPublicKey":     {"SSHPublicKeyId", "Public Key with id"},
		"DeleteSSHPublicKey":  {"SSHPublicKeyId", "Public Key with id"},

		"DeleteSigningCertificate":        {"CertificateId", "Certificate with id"},
		"DeleteServiceSpecificCredential": {"ServiceSpecificCredentialId", "Service Specific Credential with id"},
	},
	0: {
		"GetInstanceProfile":            {"InstanceProfileName", "Instance Profile"},
		"DeleteInstanceProfile":         {"InstanceProfileName", "Instance Profile"},
		"RemoveRoleFromInstanceProfile": {"InstanceProfileName", "Instance Profile"},
		"ListInstanceProfileTags":       {"InstanceProfileName", "Instance Profile"},
		"DeleteVirtualMFADevice":        {"SerialNumber", "VirtualMFADevice with serial number"},
		"GetServerCertificate":          {"ServerCertificateName", "Server Certificate with name"},
		"DeleteServerCertificate":       {"ServerCertificateName", "Server Certificate with name"},
		"GetSAMLProvider":               {"SAMLProviderArn", "SAML Provider"},
		"DeleteSAMLProvider":            {"SAMLProviderArn", "SAML Provider"},
		"GetAccountPasswordPolicy":      {"", "Password Policy with domain name"},
		"DeleteAccountPasswordPolicy":   {"", "Password Policy with domain name"},
	},
}

// absentActions adds all of them. They answer like AWS's for an account that
// has none.
func absentActions(add func(service string, kind meta.IdentityKind, handlers map[string]func(*call) (any, error))) {
	for kind, lists := range absentLists {
		for name, element := range lists {
			add(serviceIAM, kind, map[string]func(*call) (any, error){name: func(c *call) (any, error) {
				// The caller needs the permission although nothing can be
				// found: a policy must not behave differently from AWS here.
				if err := c.allowAbsent(); err != nil {
					return nil, err
				}
				// Parameters of the page are checked although the list is
				// empty.
				_, _, err := c.form.page()
				return emptyList(element), err
			}})
		}
	}
	for kind, entities := range absentEntities {
		for name, entity := range entities {
			add(serviceIAM, kind, map[string]func(*call) (any, error){name: func(c *call) (any, error) {
				if err := c.allowAbsent(); err != nil {
					return nil, err
				}
				value := c.form[entity.parameter]
				if entity.parameter == "" {
					value = c.principal.Account
				}
				return nil, s3err.New(s3err.NoSuchEntity, "The %s %s cannot be found.", entity.label, clip(value))
			}})
		}
	}
}

// allowAbsent asks for the right to the action's subject: a user, who may be
// the caller or its account's root, a named role, or none.
func (c *call) allowAbsent() error {
	switch c.action.kind {
	case meta.IdentityRole:
		_, err := c.named(meta.IdentityRole)
		return err
	case meta.IdentityUser:
		if c.form["UserName"] == "" && c.principal.Kind == access.Root {
			return c.allow(c.principal.ARN())
		}
		_, err := c.self()
		return err
	}
	return c.allow("*")
}

// emptyList is a result with an empty list of that name.
type emptyList string

// MarshalXML writes the list within the result's element.
func (l emptyList) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	if err := e.EncodeElement("", xml.StartElement{Name: xml.Name{Local: string(l)}}); err != nil {
		return err
	}
	if err := e.EncodeElement(false, xml.StartElement{Name: xml.Name{Local: "IsTruncated"}}); err != nil {
		return err
	}
	return e.EncodeToken(start.End())
}
