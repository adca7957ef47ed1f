package api

import (
	"encoding/xml"
	"errors"
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/s3err"
)

// bucketConfiguration is the document of a CreateBucket request. What the
// gateway cannot give is known all the same, so that it can be refused.
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

// createBucket makes a bucket in the gateway's region, on a backend that the
// LocationConstraint asks for if it names one, or its region or jurisdiction.
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
	create := s.engine.CreateBucket
	if locked, err := r.locksBucket(); err != nil {
		return nil, err
	} else if locked {
		create = s.engine.CreateLockedBucket
	}
	region, err := s.newBucketRegion(&c, r.region())
	if err != nil {
		return nil, err
	}
	b, err := create(r.Context(), r.Target.Bucket, region, r.Owner())
	// In us-east-1, and only there, S3 lets an owner create its bucket again.
	again := errors.Is(err, s3err.BucketAlreadyOwnedByYou) && s.region == DefaultRegion
	if err != nil && !again {
		return nil, err
	}
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

// bucketDocument reads a CreateBucketConfiguration document, which there need not be.
var bucketDocument = documentFacts{keys: openKeys("s3:locationconstraint", "aws:requesttag/", "aws:tagkeys"), read: func(r *Request) {
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
}}

// createNeeds are the rights to make a bucket and, where the request sets something of
// the new bucket that has a right of its own, that one as well.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func createNeeds(r *Request) ([]access.Need, error) {
	needs := []access.Need{r.need("s3:CreateBucket")}
	also := func(action string) {
		n := r.need(action)
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
	if locks, err := r.locksBucket(); locks || err != nil { // the operation refuses what is no switch
		also("s3:PutBucketObjectLockConfiguration")
		also("s3:PutBucketVersioning")
	}
	return needs, nil
}

// locations are what s3:LocationConstraint says of a new bucket: where it is going to be,
// under the name that was asked for as well. Nothing asked is the gateway's region. It is
// nil while the document was not read, and where that cannot be taken.
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

// region is the one that the client signed for, or the gateway's first: clients that
// find out where a bucket is believe it to be where they looked for it.
func (r *Request) region() string {
	if id := r.identity; id != nil && id.Scope.Region != "" {
		return id.Scope.Region
	}
	return r.server.region
}

// newBucketRegion is the LocationConstraint to store with a bucket: empty for the
// default region. All regions that are taken are one place, the gateway's; of names
// that nobody configured, the one that the client signed for is such.
func (s *Server) newBucketRegion(c *bucketConfiguration, signedFor string) (string, error) {
	if c.Location != nil || c.Bucket != nil {
		return "", s3err.New(s3err.NotImplemented, "Directory buckets are not implemented.")
	}
	asked := c.LocationConstraint
	if asked != s.region && s.engine.HasPlace(asked) {
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

// headBucket says that the bucket exists and may be listed.
func headBucket(s *Server, r *Request) (*Reply, error) {
	h := http.Header{}
	h.Set(bucketRegionHeader, r.region())
	setBucketARN(h, r)
	h.Set("X-Amz-Access-Point-Alias", "false")
	return &Reply{Header: h}, nil
}

// deleteBucket removes an empty bucket.
func deleteBucket(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.DeleteBucket(r.Context(), r.Bucket); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// location is the answer to GetBucketLocation: a root element that is text.
type location string

// getBucketLocation shows the default region as nothing, as S3 does.
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

func getBucketRequestPayment(*Server, *Request) (*Reply, error) {
	return &Reply{XML: requestPayment{Payer: "BucketOwner"}}, nil
}
