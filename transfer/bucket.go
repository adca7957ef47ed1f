package transfer

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
)

// defaultRegion is the one that a bucket is in when its creation names none.
const defaultRegion = "us-east-1"

// exists asks for the bucket. Its absence is an *answerError with status 404.
func (p place) exists(ctx context.Context) error {
	return p.again(ctx, func() error {
		_, _, err := p.document(ctx, p.call(http.MethodHead, ""))
		return err
	})
}

func (p place) create(ctx context.Context) error {
	in := p.call(http.MethodPut, "")
	if p.Region != defaultRegion {
		doc, err := xml.Marshal(struct {
			XMLName    xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CreateBucketConfiguration"`
			Constraint string   `xml:"LocationConstraint"`
		}{Constraint: p.Region})
		if err != nil {
			return err
		}
		in.document = doc
	}
	return p.again(ctx, func() error {
		_, _, err := p.document(ctx, in)
		if e := refused(err, p.role); e == http.StatusConflict {
			return p.exists(ctx) // created by a try whose answer was lost, or by somebody else
		}
		return err
	})
}

// versioned reports whether the bucket keeps, or ever kept, old versions.
func (p place) versioned(ctx context.Context) (bool, error) {
	in := p.call(http.MethodGet, "")
	in.query = url.Values{"versioning": {""}}
	var doc struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string   `xml:"Status"`
	}
	err := p.again(ctx, func() error {
		text, _, err := p.document(ctx, in)
		if err != nil {
			return err
		}
		return xml.Unmarshal(text, &doc)
	})
	if refused(err, p.role) == http.StatusNotImplemented {
		return false, nil
	}
	return doc.Status != "", err
}

// remove deletes an object in the state that etag names. A server that does not
// know the condition refuses, and the object stays; one that passes over it
// deletes whatever is there, which the look just before makes unlikely.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (p place) remove(ctx context.Context, key, etag string) error {
	if _, err := p.head(ctx, key, etag, 0); err != nil {
		if refused(err, p.role) == http.StatusNotFound {
			return nil // deleted by a try whose answer was lost, or by somebody else
		}
		return fmt.Errorf("look before deleting: %w", err)
	}
	in := p.call(http.MethodDelete, key)
	in.header.Set("If-Match", `"`+etag+`"`)
	return p.again(ctx, func() error {
		_, _, err := p.document(ctx, in)
		if refused(err, p.role) == http.StatusNotFound {
			return nil
		}
		return err
	})
}
