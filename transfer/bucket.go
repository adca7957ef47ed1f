package transfer

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
)

// defaultRegion is the region of a bucket whose creation names none.
const defaultRegion = "us-east-1"

// exists asks for the bucket. If it does not exist, the error is an
// *answerError with status 404.
func (p place) exists(ctx context.Context) error {
	return p.again(ctx, func() error {
		_, _, err := p.document(ctx, p.call(http.MethodHead, ""))
		return err
	})
}

// create creates the bucket. An existing bucket of the same owner is no error.
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
			return p.exists(ctx) // created by an attempt whose answer was lost, or by another client
		}
		return err
	})
}

// versioned reports whether the bucket keeps old versions or ever kept them.
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
	// A server that has no versions keeps none.
	if refused(err, p.role) == http.StatusNotImplemented {
		return false, nil
	}
	return doc.Status != "", err
}

// remove deletes an object if it is still in the state of etag. A server that
// does not support the condition refuses the request, and the object stays. A
// server that ignores the condition deletes whatever is there; the check just
// before makes another state unlikely.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (p place) remove(ctx context.Context, key, etag string) error {
	if _, err := p.head(ctx, key, etag, 0); err != nil {
		if refused(err, p.role) == http.StatusNotFound {
			return nil // deleted by an attempt whose answer was lost, or by another client
		}
		return fmt.Errorf("check before deleting: %w", err)
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
