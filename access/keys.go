package access

import (
	"strings"
	"time"
)

// ConditionKeys are the condition keys that bucket policies may use, in lower
// case. A key that ends with a slash stands for all keys with that prefix, such
// as "s3:existingobjecttag/".
// Sources:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
var ConditionKeys = strings.Fields(strings.ToLower(`
	aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:CurrentTime aws:Ec2InstanceSourcePrivateIPv4
	aws:Ec2InstanceSourceVpc aws:EpochTime aws:FederatedProvider aws:IsMcpServiceAction aws:MultiFactorAuthAge
	aws:MultiFactorAuthPresent aws:PrincipalAccount aws:PrincipalArn aws:PrincipalIsAWSService
	aws:PrincipalOrgID aws:PrincipalOrgPaths aws:PrincipalServiceName aws:PrincipalServiceNamesList
	aws:PrincipalTag/ aws:PrincipalType aws:Referer aws:RequestTag/ aws:RequestedRegion aws:ResourceAccount
	aws:ResourceOrgID aws:ResourceOrgPaths aws:ResourceTag/ aws:SecureTransport aws:SourceAccount
	aws:SourceArn aws:SourceIdentity aws:SourceIp aws:SourceOrgID aws:SourceOrgPaths aws:SourceOwner
	aws:SourceVpc aws:SourceVpcArn aws:SourceVpce aws:TagKeys aws:TokenIssueTime aws:UserAgent aws:ViaAWSService
	aws:VpcSourceIp aws:VpceAccount aws:VpceOrgID aws:VpceOrgPaths aws:userid aws:username

	s3:AccessGrantsInstanceArn s3:AccessPointNetworkOrigin s3:AccessPointTag/ s3:BucketTag/
	s3:DataAccessPointAccount s3:DataAccessPointArn s3:DestinationRegion s3:ExistingJobOperation
	s3:ExistingJobPriority s3:ExistingObjectTag/ s3:InventoryAccessibleOptionalFields
	s3:JobSuspendedCause s3:LocationConstraint s3:ObjectCreationOperation s3:RequestJobOperation
	s3:RequestJobPriority s3:RequestObjectTag/ s3:RequestObjectTagKeys s3:ResourceAccount s3:TlsVersion
	s3:VersionId s3:authType s3:delimiter s3:if-match s3:if-none-match
	s3:isReplicationPauseRequest s3:max-keys s3:object-lock-legal-hold
	s3:object-lock-mode s3:object-lock-remaining-retention-days s3:object-lock-retain-until-date
	s3:prefix s3:signatureAge s3:signatureversion s3:x-amz-acl s3:x-amz-bucket-namespace
	s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-grant-full-control s3:x-amz-grant-read
	s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp s3:x-amz-metadata-directive
	s3:x-amz-object-ownership s3:x-amz-server-side-encryption
	s3:x-amz-server-side-encryption-aws-kms-key-id
	s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class
	s3:x-amz-website-redirect-location

	saml:aud saml:iss saml:namequalifier saml:sub saml:sub_type sts:ExternalId sts:RoleSessionName`))

var knownKeys = func() map[string]bool {
	m := make(map[string]bool, len(ConditionKeys))
	for _, k := range ConditionKeys {
		m[k] = true
	}
	return m
}()

// knownKey reports whether a normalKey is one of ConditionKeys.
func knownKey(key string) bool {
	if knownKeys[key] {
		return !strings.HasSuffix(key, "/")
	}
	return knownKeys[familyOf(key)]
}

// familyOf returns the row of ConditionKeys for a normalKey: the key itself, or
// its part up to and including the slash.
func familyOf(key string) string {
	if i := strings.IndexByte(key, '/'); i >= 0 {
		return key[:i+1]
	}
	return key
}

// noAccount is the account number of tenants that have none of their own.
// Policies cannot name it, because it would match many tenants.
const noAccount = "000000000000"

// derived are the values of keys about the principal or the resource. An absent
// one is empty.
type derived struct {
	arn, account, kind, userID, username []string
	resourceAccount                      []string
	issued, factor                       []string // of a temporary credential
}

// one is a list of s alone; nil for an absent value.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// derive fills the keys as AWS's table of principals defines.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
func derive(p *Principal, resourceAccount string) (d derived) {
	if resourceAccount != noAccount {
		d.resourceAccount = one(resourceAccount)
	}
	if !p.Issued.IsZero() {
		d.issued, d.factor = one(p.Issued.UTC().Format(time.RFC3339)), one("false") // there is no MFA here
	}
	switch p.Kind {
	case Nobody:
		d.kind, d.userID = one("Anonymous"), one("anonymous")
		return d
	case Root:
		d.kind = one("Account")
	case User:
		d.kind, d.username = one("User"), one(p.Name)
	case Session:
		d.kind = one("AssumedRole")
	default:
		return d
	}
	if p.Account == noAccount || p.Account == "" {
		return d
	}
	d.account, d.userID, d.arn = one(p.Account), one(p.UserID()), one(p.ARN())
	// On AWS, aws:PrincipalArn is the role's and not the session's.
	if p.Kind == Session {
		d.arn = one(p.RoleARN())
	}
	return d
}

// env holds the facts that a statement is evaluated with.
type env struct {
	v       *Evaluation // nil: not part of a request
	settled *settled    // nil: nothing is remembered
	p       *Principal
	action  asked
	target  arn
	request Context
	need    Context
	open    map[string]bool // see Need
	derived *derived
	fold    bool // variables have their values regardless of case: see foldedTwin
}

// meter is nil for an env that is not part of a request, and then counts
// nothing.
func (e *env) meter() *meter {
	if e.v == nil {
		return nil
	}
	return &e.v.meter
}

const principalTag = "aws:principaltag/"

// lookup returns the values of a normalKey or foldedTag; none when it is
// absent, or when the action does not have it on AWS.
func (e *env) lookup(key string) []string {
	if !e.action.hasKey(key) {
		return nil
	}
	switch key {
	case "aws:principalarn":
		return e.derived.arn
	case "aws:principalaccount":
		return e.derived.account
	case "aws:principaltype":
		return e.derived.kind
	case "aws:userid":
		return e.derived.userID
	case "aws:username":
		return e.derived.username
	case "aws:resourceaccount", "s3:resourceaccount":
		return e.derived.resourceAccount
	case "aws:tokenissuetime":
		return e.derived.issued
	case "aws:principalisawsservice":
		if e.p.Kind == Service {
			return isAService
		}
		return notAService
	case "aws:principalservicename":
		if e.p.Kind == Service {
			return one(e.p.Name)
		}
		return nil
	case "aws:viaawsservice":
		if strings.HasPrefix(e.action.lowered, "kms:") {
			return isAService // S3 uses keys on behalf of its caller
		}
		return notAService
	case "aws:sourceidentity":
		return one(e.p.SourceIdentity)
	case "aws:federatedprovider":
		return one(e.p.Provider)
	case "aws:multifactorauthpresent":
		return e.derived.factor
	}
	if tag, ok := strings.CutPrefix(key, principalTag); ok {
		return e.tags(tag)
	}
	// The keys above never come from here, so a caller cannot set them by a header
	// or a parameter.
	if v, ok := e.need[key]; ok {
		return v
	}
	return e.request[key]
}

// No service makes requests here, except S3 when it uses keys.
var isAService, notAService = []string{"true"}, []string{"false"}

// tags returns the values of the principal's tags with the name, a normalKey.
func (e *env) tags(name string) (values []string) {
	for k, v := range e.p.Tags {
		if FoldCase(k) == name {
			values = append(values, v)
		}
	}
	return values
}
