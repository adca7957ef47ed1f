package api

import (
	"encoding/xml"
	"errors"
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
)

// bucketConfiguration is the document of a CreateBucket request. Settings that
// the gateway does not support are parsed too, so that they can be refused.
type bucketConfiguration struct {
	LocationConstraint string `xml:"LocationConstraint"`
	Location           *struct {
		Name string `xml:"Name"`
		Type string `xml:"Type"`
	} `xml:"Location"`
	Bucket *struct {
		DataRedundancy string `xml:"DataRedundancy"`
		Type           string `xml:"Type"`
	} `xml:"Bucket"`
	Tags *struct {
		Tag []tagElement `xml:"Tag" max:"50"`
	} `xml:"Tags"`
}

// createBucket creates a bucket in the gateway's region, on the backend whose
// name, region or jurisdiction the LocationConstraint names.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func createBucket(s *Server, r *Request) (*Reply, error) {
	c, err := r.asked.configuration.get()
	if err != nil {
		return nil, err
	}
	tags, err := r.asked.bucketTags.get()
	if err != nil {
		return nil, err
	}
	rights, err := s.readNewBucketAccess(r)
	if err != nil {
		return nil, err
	}
	create := s.engine.Buckets().Create
	if locked, err := r.locksBucket(); err != nil {
		return nil, err
	} else if locked {
		create = s.engine.Buckets().CreateLocked
	}
	region, err := s.newBucketRegion(&c, r.region())
	if err != nil {
		return nil, err
	}
	b, err := create(r.Context(), r.Target.Bucket, region, r.Owner())
	// Only in us-east-1 does S3 let an owner create an existing bucket again.
	again := errors.Is(err, s3err.BucketAlreadyOwnedByYou) && s.region == DefaultRegion
	if err != nil && !again {
		return nil, err
	}
	// A bucket that existed keeps its settings.
	if r.Bucket = b; !again {
		if err := rights.store(s, r); err != nil {
			return nil, err
		}
		if len(tags) > 0 {
			if err := storeSetting(s, r, settingTags, tags); err != nil {
				return nil, err
			}
		}
	}
	h := http.Header{"Location": {"/" + r.Target.Bucket}}
	setBucketARN(h, r)
	return &Reply{Header: h}, nil
}

// setBucketARN names the bucket as policies do.
func setBucketARN(h http.Header, r *Request) {
	h.Set("X-Amz-Bucket-Arn", "arn:aws:s3:::"+r.Target.Bucket)
}

// bucketDocument reads a CreateBucketConfiguration document, which is optional.
var bucketDocument = documentFacts{
	keys: openKeys("s3:locationconstraint", "aws:requesttag/", "aws:tagkeys"),
	read: readBucketDocument,
}

// readBucketDocument parses the document of a CreateBucket into asked.
func readBucketDocument(r *Request) {
	var c bucketConfiguration
	var err error
	if len(r.XML) > 0 {
		if err = decodeXML(r.XML, "CreateBucketConfiguration", &c); tooMany(err, "Tag") {
			err = tooManyTags(maxBucketTags)
		}
	}
	r.asked.configuration = saying(c, err)
	if err == nil && c.Tags != nil && len(c.Tags.Tag) > 0 {
		r.asked.bucketTags = saying(tagPairs(c.Tags.Tag, maxBucketTags))
	}
}

// createNeeds returns the right to create a bucket and the rights to the
// settings that the request makes for it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func createNeeds(r *Request) ([]access.Need, error) {
	needs := []access.Need{r.need("s3:CreateBucket")}
	also := func(action string) {
		n := r.need(action)
		// The bucket does not exist yet; its future owner decides.
		n.Bucket = &access.Bucket{Name: r.Target.Bucket, Owner: r.Principal.Tenant, Account: r.Principal.Account}
		needs = append(needs, n)
	}
	a := &r.asked
	if a.bucketTags.given {
		also("s3:PutBucketTagging")
	}
	if a.canned.given && a.canned.value != "private" || a.grants.given {
		also("s3:PutBucketAcl")
	}
	if a.ownership.given {
		also("s3:PutBucketOwnershipControls")
	}
	if locks, err := r.locksBucket(); locks || err != nil { // the operation refuses an invalid switch
		also("s3:PutBucketObjectLockConfiguration")
		also("s3:PutBucketVersioning")
	}
	return needs, nil
}

// locations returns the values of s3:LocationConstraint for a new bucket, both
// names where the region has two. Without a constraint it is the gateway's
// region; nil while the document is unread or invalid.
func (s *Server) locations(c said[bucketConfiguration]) []string {
	switch asked := c.value.LocationConstraint; {
	case !c.known():
		return nil
	case asked == "":
		return []string{s.region}
	case asked == oldEU:
		return []string{asked, newEU}
	default:
		return []string{asked}
	}
}

// The oldest region has two names.
const (
	oldEU = "EU"
	newEU = "eu-west-1"
)

// region is the region that the client signed for, else the gateway's. Clients
// that look for a bucket's region assume it to be where they asked.
func (r *Request) region() string {
	if id := r.identity; id != nil && id.Scope.Region != "" {
		return id.Scope.Region
	}
	return r.server.region
}

// newBucketRegion returns the LocationConstraint to store with a bucket; empty
// for the default region. All regions that the gateway accepts are one place,
// its own. Among unconfigured names that holds for the region that the client
// signed for.
func (s *Server) newBucketRegion(c *bucketConfiguration, signedFor string) (string, error) {
	if c.Location != nil || c.Bucket != nil {
		return "", s3err.New(s3err.NotImplemented, "Directory buckets are not implemented; leave out Location and Bucket.")
	}
	asked := c.LocationConstraint
	if asked != s.region && s.engine.Blobs().HasPlace(asked) {
		return asked, nil
	}
	if asked == oldEU {
		asked = newEU
	}
	if asked == "" || asked == s.region || asked == signedFor || slices.Contains(s.verifier.Regions, asked) {
		if s.region == DefaultRegion {
			return "", nil
		}
		return s.region, nil
	}
	return "", s3err.New(s3err.InvalidLocationConstraint, "").With("LocationConstraint", c.LocationConstraint)
}

// headBucket tells that the bucket exists and that the client may list it.
func headBucket(s *Server, r *Request) (*Reply, error) {
	h := http.Header{}
	h.Set(bucketRegionHeader, r.region())
	setBucketARN(h, r)
	h.Set("X-Amz-Access-Point-Alias", "false")
	return &Reply{Header: h}, nil
}

// deleteBucket removes an empty bucket.
func deleteBucket(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.Buckets().Delete(r.Context(), r.Bucket); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// location is the answer to GetBucketLocation: a root element with text.
type location string

// getBucketLocation shows the default region as an empty element, as S3 does.
func getBucketLocation(_ *Server, r *Request) (*Reply, error) {
	return &Reply{XML: location(r.Bucket.Region)}, nil
}

// AppendXML writes LocationConstraint.
func (l location) AppendXML(b []byte) []byte {
	return closeTag(appendText(openRoot(b, "LocationConstraint"), string(l)), "LocationConstraint")
}

// requestPayment is the answer to GetBucketRequestPayment.
type requestPayment struct {
	XMLName xml.Name `xml:"RequestPaymentConfiguration"`
	Payer   string   `xml:"Payer"`
}

// getBucketRequestPayment answers that the owner pays, which cannot be changed.
func getBucketRequestPayment(*Server, *Request) (*Reply, error) {
	return &Reply{XML: requestPayment{Payer: "BucketOwner"}}, nil
}
