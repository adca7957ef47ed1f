package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of the kinds of configuration that a bucket may have many of.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html
const (
	maxConfigurations  = 1000
	configurationsPage = 100
	maxConfigurationID = 64
	// maxAccountID is the length of a canonical id, the longest name of an
	// account.
	maxAccountID = 64
	bucketARN    = "arn:aws:s3:::"
)

// inventoryFields are the columns that a configuration may add to bucket and
// key.
var inventoryFields = []string{
	"Size", "LastModifiedDate", "StorageClass", "ETag", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus",
	"ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus", "IntelligentTieringAccessTier",
	"BucketKeyStatus", "ChecksumAlgorithm", "ObjectAccessControlList", "ObjectOwner", "LifecycleExpirationDate",
}

// inventoryDocument is an InventoryConfiguration as clients send it.
type inventoryDocument struct {
	Destination struct {
		Bucket struct {
			AccountID  string `xml:"AccountId"`
			ARN        string `xml:"Bucket"`
			Encryption *struct {
				S3  *struct{} `xml:"SSE-S3"`
				KMS *struct {
					KeyID string `xml:"KeyId"`
				} `xml:"SSE-KMS"`
			} `xml:"Encryption"`
			Format string  `xml:"Format"`
			Prefix *string `xml:"Prefix"`
		} `xml:"S3BucketDestination"`
	} `xml:"Destination"`
	Enabled *bool `xml:"IsEnabled"`
	Filter  *struct {
		Prefix *string `xml:"Prefix"`
	} `xml:"Filter"`
	ID       string `xml:"Id"`
	Versions string `xml:"IncludedObjectVersions"`
	Optional *struct {
		Fields []string `xml:"Field" max:"16"`
	} `xml:"OptionalFields"`
	Schedule struct {
		Frequency string `xml:"Frequency"`
	} `xml:"Schedule"`
}

// putBucketInventory adds the configuration of the id or replaces it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html
func putBucketInventory(s *Server, r *Request) (*Reply, error) {
	id, err := r.configurationID()
	if err != nil {
		return nil, err
	}
	c, err := r.asked.inventory.get()
	if err != nil {
		return nil, err
	}
	if c.ID != id {
		return nil, s3err.New(s3err.InvalidArgument, "The Id in the document must equal the id in the query.").With("ArgumentName", "id")
	}
	target, byPolicy, err := s.reportTarget(r, inventoryReporter, c.Target, c.SampleKeys(r.Bucket.Name, r.Now)...)
	if err != nil {
		return nil, err
	}
	if target.ID.IsZero() {
		return nil, s3err.New(s3err.InvalidS3DestinationBucket, "").With("Bucket", bucketARN+c.Target)
	}
	if err := r.asked.unsupported.err; err != nil {
		return nil, err
	}
	// The target is stored by its id: a bucket that gets its name later is not
	// meant.
	c.TargetID, c.ByPolicy = target.ID.String(), byPolicy
	name := inventory.Setting + id
	err = s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, name, func(now *buckets.Settings) ([]byte, error) {
		// Counted within the update, so that concurrent requests cannot exceed
		// the limit.
		if _, ok := now.Document(name); !ok && len(now.Names(inventory.Setting)) >= maxConfigurations {
			return nil, s3err.TooManyConfigurations
		}
		return json.Marshal(c)
	})
	return &Reply{}, err
}

// inventoryOfBucket reads an InventoryConfiguration document.
var inventoryOfBucket = documentFacts{
	keys: openKeys("s3:inventoryaccessibleoptionalfields"),
	read: func(r *Request) { r.asked.inventory = saying(parseInventory(r.XML, &r.asked.unsupported)) },
}

// configurationID returns the id parameter, validated.
func (r *Request) configurationID() (string, error) {
	id := r.QueryValue("id")
	if id == "" || len(id) > maxConfigurationID ||
		strings.Trim(strings.ToLower(id), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return "", s3err.New(s3err.InvalidArgument, "The specified configuration id is invalid").
			With("ArgumentName", "id").With("ArgumentValue", id)
	}
	return id, nil
}

// parseInventory parses an InventoryConfiguration. It notes settings that the
// gateway does not support in u.
func parseInventory(document []byte, u *unsupported) (*inventory.Configuration, error) {
	var d inventoryDocument
	if err := decodeXML(document, "InventoryConfiguration", &d); err != nil {
		return nil, err
	}
	to := d.Destination.Bucket
	c := &inventory.Configuration{
		ID: d.ID, Versions: d.Versions == "All", Weekly: d.Schedule.Frequency == "Weekly",
		Target: strings.TrimPrefix(to.ARN, bucketARN), TargetPrefix: to.Prefix, Account: to.AccountID, Format: to.Format,
	}
	switch {
	case d.Enabled == nil || d.ID == "" || d.Filter != nil && d.Filter.Prefix == nil,
		d.Versions != "All" && d.Versions != "Current",
		d.Schedule.Frequency != "Daily" && d.Schedule.Frequency != "Weekly",
		!slices.Contains([]string{"CSV", "ORC", "Parquet"}, to.Format),
		len(d.ID) > maxConfigurationID, len(to.AccountID) > maxAccountID:
		return nil, s3err.MalformedXML
	case c.Target == to.ARN || c.Target == "":
		return nil, s3err.New(s3err.InvalidS3DestinationBucket, "").With("Bucket", to.ARN)
	case to.Format != "CSV":
		u.note("Inventories are written as CSV only; %s is not implemented.", to.Format)
	}
	c.Enabled = *d.Enabled
	if d.Filter != nil {
		c.Prefix = d.Filter.Prefix
	}
	if e := to.Encryption; e != nil {
		if (e.S3 == nil) == (e.KMS == nil) {
			return nil, s3err.MalformedXML
		}
		if e.KMS != nil {
			u.note("SSE-KMS for inventories is not implemented; use SSE-S3. All objects are encrypted.")
		}
		c.Sealed = true
	}
	if d.Optional != nil {
		var err error
		if c.Fields, err = parseFields(d.Optional.Fields, u); err != nil {
			return nil, err
		}
	}
	if c.Prefix != nil {
		if err := CheckKey(*c.Prefix); err != nil {
			return nil, err
		}
	}
	if c.TargetPrefix != nil {
		if err := checkPrefix(*c.TargetPrefix); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// parseFields checks the optional fields of an inventory: known ones, each once.
func parseFields(names []string, u *unsupported) (fields []string, err error) {
	for _, f := range names {
		if !slices.Contains(inventoryFields, f) || slices.Contains(fields, f) {
			return nil, s3err.MalformedXML
		}
		if f == "ObjectAccessControlList" {
			u.note("The field ObjectAccessControlList is not implemented for inventories.")
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// getBucketInventory shows the configuration of the id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketInventoryConfiguration.html
func getBucketInventory(s *Server, r *Request) (*Reply, error) {
	id, err := r.configurationID()
	if err != nil {
		return nil, err
	}
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	c, ok, err := buckets.Parsed(settings, inventory.Setting+id, inventory.Parse)
	if err == nil && !ok {
		err = s3err.NoSuchConfiguration
	}
	return &Reply{XML: inventoryConfiguration(c)}, err
}

// deleteBucketInventory removes the configuration of the id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketInventoryConfiguration.html
func deleteBucketInventory(s *Server, r *Request) (*Reply, error) {
	id, err := r.configurationID()
	if err != nil {
		return nil, err
	}
	name := inventory.Setting + id
	err = s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, name, func(now *buckets.Settings) ([]byte, error) {
		if _, ok := now.Document(name); !ok {
			return nil, s3err.NoSuchConfiguration
		}
		return nil, nil
	})
	return &Reply{Status: http.StatusNoContent}, err
}

// inventoryList is one page of ListBucketInventoryConfigurations.
type inventoryList struct {
	token, next string
	page        []inventory.Configuration
}

// listBucketInventories shows the configurations, ordered by id.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBucketInventoryConfigurations.html
func listBucketInventories(s *Server, r *Request) (*Reply, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	list := inventoryList{token: r.QueryValue("continuation-token")}
	after := ""
	if r.HasQuery("continuation-token") {
		if after, err = parseToken(list.token); err != nil {
			return nil, err
		}
	}
	names := settings.Names(inventory.Setting)
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		if name <= after {
			continue
		}
		if len(list.page) == configurationsPage {
			list.next = token(inventory.Setting + list.page[configurationsPage-1].ID)
			break
		}
		c, _, err := buckets.Parsed(settings, name, inventory.Parse)
		if err != nil {
			return nil, err
		}
		list.page = append(list.page, c)
	}
	return &Reply{XML: list}, nil
}

// AppendXML writes ListInventoryConfigurationsResult.
func (l inventoryList) AppendXML(b []byte) []byte {
	b = openRoot(b, "ListInventoryConfigurationsResult")
	for _, c := range l.page {
		b = closeTag(inventoryConfiguration(c).append(openTag(b, "InventoryConfiguration")), "InventoryConfiguration")
	}
	return appendListEnd(b, "ListInventoryConfigurationsResult", l.token, l.next)
}

// appendListEnd writes the end of every list of configurations.
func appendListEnd(b []byte, root, token, next string) []byte {
	b = appendBool(b, "IsTruncated", next != "")
	if token != "" {
		b = appendElement(b, "ContinuationToken", token)
	}
	if next != "" {
		b = appendElement(b, "NextContinuationToken", next)
	}
	return closeTag(b, root)
}

// inventoryConfiguration is the answer that shows one configuration.
type inventoryConfiguration inventory.Configuration

// AppendXML writes InventoryConfiguration.
func (c inventoryConfiguration) AppendXML(b []byte) []byte {
	return closeTag(c.append(openRoot(b, "InventoryConfiguration")), "InventoryConfiguration")
}

// append writes the elements within the root, which lists of configurations
// write as well.
func (c inventoryConfiguration) append(b []byte) []byte {
	b = openTag(openTag(b, "Destination"), "S3BucketDestination")
	if c.Account != "" {
		b = appendElement(b, "AccountId", c.Account)
	}
	b = appendElement(b, "Bucket", bucketARN+c.Target)
	if c.Sealed {
		b = append(b, "<Encryption><SSE-S3></SSE-S3></Encryption>"...)
	}
	b = appendElement(b, "Format", c.Format)
	if c.TargetPrefix != nil {
		b = appendElement(b, "Prefix", *c.TargetPrefix)
	}
	b = closeTag(closeTag(b, "S3BucketDestination"), "Destination")
	b = appendBool(b, "IsEnabled", c.Enabled)
	if c.Prefix != nil {
		b = closeTag(appendElement(openTag(b, "Filter"), "Prefix", *c.Prefix), "Filter")
	}
	b = appendElement(b, "Id", c.ID)
	versions, frequency := "Current", "Daily"
	if c.Versions {
		versions = "All"
	}
	if c.Weekly {
		frequency = "Weekly"
	}
	b = appendElement(b, "IncludedObjectVersions", versions)
	if len(c.Fields) > 0 {
		b = openTag(b, "OptionalFields")
		for _, f := range c.Fields {
			b = appendElement(b, "Field", f)
		}
		b = closeTag(b, "OptionalFields")
	}
	return closeTag(appendElement(openTag(b, "Schedule"), "Frequency", frequency), "Schedule")
}
