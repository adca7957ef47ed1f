package iam

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// members is a list in the form of these APIs, which is written even if it is
// empty.
type members[T any] struct {
	Member []T `xml:"member"`
}

// membersOf converts each entry of a list.
func membersOf[F, T any](from []F, to func(F) T) (m members[T]) {
	for _, f := range from {
		m.Member = append(m.Member, to(f))
	}
	return m
}

// response is the document around a result.
type response struct {
	XMLName   xml.Name
	Namespace string  `xml:"xmlns,attr"`
	Result    *result // nil: the action has no result
	RequestID string  `xml:"ResponseMetadata>RequestId"`
}

// result has the element's name, which depends on the action.
type result struct {
	XMLName xml.Name
	Content any
}

// MarshalXML writes the content's fields within the result's element.
func (r *result) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(r.Content, xml.StartElement{Name: r.XMLName})
}

// render writes the answer of a successful action.
func (c *call) render(content any) []byte {
	doc := response{
		XMLName:   xml.Name{Local: c.name + "Response"},
		Namespace: namespaces[c.action.service], RequestID: c.request.ID,
	}
	if content != nil {
		doc.Result = &result{xml.Name{Local: c.name + "Result"}, content}
	}
	b, err := xml.Marshal(doc)
	if err != nil { // only for types that no action returns
		panic(err)
	}
	return b
}

// errorResponse is the answer of a failed action.
type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// renderError reveals nothing about an error without a code except that there
// was one.
func (c *call) renderError(err error) (status int, body []byte) {
	e := s3err.From(err)
	doc := errorResponse{
		Namespace: namespaces[serviceIAM], Type: "Sender",
		Code: string(e.Code), Message: e.Message, RequestID: c.request.ID,
	}
	if c.action.service != "" {
		doc.Namespace = namespaces[c.action.service]
	}
	if doc.Message == "" {
		doc.Message = e.Code.Message()
	}
	status = e.Code.Status()
	// IAM and STS have another status and code for some errors than S3.
	switch e.Code {
	case s3err.ExpiredToken:
		status = http.StatusForbidden
	case s3err.InternalError:
		doc.Code = "ServiceFailure"
	}
	if status >= 500 {
		doc.Type = "Receiver"
	}
	// The document has only texts, so it can always be encoded.
	body, failed := xml.Marshal(doc)
	if failed != nil {
		panic(failed)
	}
	return status, body
}

// stamp is a time in the form of answers.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encoded is a policy in the form of answers: percent-encoded as in RFC 3986.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}
