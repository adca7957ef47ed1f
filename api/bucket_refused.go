package api

import (
	"encoding/xml"
	"net/http"

	"github.com/sanctum-storage/gateway/s3err"
)

// Sub-resources that the gateway does not implement. Documents that ask for its
// fixed behaviour are accepted; all others are refused. A configuration that is
// stored without effect would deceive the client.

// putBucketRequestPayment accepts only that the owner pays.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html
func putBucketRequestPayment(_ *Server, r *Request) (*Reply, error) {
	var d requestPayment
	if err := decodeXML(r.XML, "RequestPaymentConfiguration", &d); err != nil {
		return nil, err
	}
	switch d.Payer {
	case "BucketOwner":
		return &Reply{}, nil
	case "Requester":
		return nil, s3err.New(s3err.NotImplemented, "Requester pays is not implemented: nobody is charged for requests.")
	}
	return nil, s3err.MalformedXML
}

// acceleration is an AccelerateConfiguration.
type acceleration struct {
	XMLName xml.Name `xml:"AccelerateConfiguration" json:"-"`
	Status  string   `xml:"Status,omitempty" json:"status"`
}

// putBucketAccelerate accepts only that acceleration is off.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html
func putBucketAccelerate(s *Server, r *Request) (*Reply, error) {
	var d acceleration
	if err := decodeXML(r.XML, "AccelerateConfiguration", &d); err != nil {
		return nil, err
	}
	switch d.Status {
	case "Suspended":
		return &Reply{}, storeSetting(s, r, settingAccelerate, d)
	case "Enabled":
		return nil, s3err.New(s3err.NotImplemented, "Transfer acceleration is not implemented.")
	}
	return nil, s3err.MalformedXML
}

// getBucketAccelerate shows the stored status; none at first, as on S3.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAccelerateConfiguration.html
func getBucketAccelerate(s *Server, r *Request) (*Reply, error) {
	a, _, err := setting[acceleration](s, r, settingAccelerate)
	return &Reply{XML: a}, err
}

// notificationDocument is a NotificationConfiguration. Its rules are parsed so
// that a malformed document is called malformed.
type notificationDocument struct {
	Topics []struct {
		notificationRule
		ARN string `xml:"Topic"`
	} `xml:"TopicConfiguration" max:"100"`
	Queues []struct {
		notificationRule
		ARN string `xml:"Queue"`
	} `xml:"QueueConfiguration" max:"100"`
	Functions []struct {
		notificationRule
		ARN string `xml:"CloudFunction"`
	} `xml:"CloudFunctionConfiguration" max:"100"`
	EventBridge *struct{} `xml:"EventBridgeConfiguration"`
}

// notificationRule is the part that all kinds of destination share.
type notificationRule struct {
	ID     string   `xml:"Id"`
	Events []string `xml:"Event" max:"100"`
	Filter *struct {
		Key struct {
			Rules []struct {
				Name  string `xml:"Name"`
				Value string `xml:"Value"`
			} `xml:"FilterRule" max:"10"`
		} `xml:"S3Key"`
	} `xml:"Filter"`
}

// putBucketNotification accepts a document without destinations, with which
// clients turn notifications off.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
func putBucketNotification(_ *Server, r *Request) (*Reply, error) {
	var d notificationDocument
	if err := decodeXML(r.XML, "NotificationConfiguration", &d); err != nil {
		return nil, err
	}
	var destinations []string
	for _, t := range d.Topics {
		destinations = append(destinations, t.ARN)
	}
	for _, q := range d.Queues {
		destinations = append(destinations, q.ARN)
	}
	for _, f := range d.Functions {
		destinations = append(destinations, f.ARN)
	}
	if d.EventBridge != nil {
		destinations = append(destinations, "EventBridge")
	}
	if len(destinations) == 0 {
		return &Reply{}, nil
	}
	// S3's words for a destination that it cannot reach.
	return nil, s3err.New(s3err.InvalidArgument, "Unable to validate the following destination configurations: delivery is not configured.").
		With("ArgumentName", destinations[0]).With("ArgumentValue", "null")
}

// alreadyAbsent answers the DELETE of a configuration that no bucket can have,
// where S3 succeeds without one.
func alreadyAbsent(*Server, *Request) (*Reply, error) {
	return &Reply{Status: http.StatusNoContent}, nil
}

// noConfigurations is an empty list of configurations of one kind, the name of
// its root element.
type noConfigurations string

// AppendXML writes the list.
func (root noConfigurations) AppendXML(b []byte) []byte {
	return appendListEnd(openRoot(b, string(root)), string(root), "", "")
}

// listsNone answers a list of configurations that no bucket can have.
func listsNone(root string) Handler {
	return func(*Server, *Request) (*Reply, error) { return &Reply{XML: noConfigurations(root)}, nil }
}

// noneOfID answers a request for one of them by id.
func noneOfID(_ *Server, r *Request) (*Reply, error) {
	if _, err := r.configurationID(); err != nil {
		return nil, err
	}
	return nil, s3err.NoSuchConfiguration
}
