package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// render sends a reply. An error after the header is out sets abort.
func (x *exchange) render(reply *Reply) error {
	if c, ok := reply.Stream.(io.Closer); ok {
		defer c.Close()
	}
	status := reply.Status
	if status == 0 {
		status = http.StatusOK
	}
	h := x.w.Header()
	for name, values := range reply.Header {
		for _, v := range values {
			// net/http would replace a line end by a blank.
			if strings.ContainsAny(v, "\r\n\x00") {
				return x.renderError(fmt.Errorf("reply header %s holds a control character", name))
			}
		}
		// The map is set directly, because Set would change the spelling of
		// ETag.
		h[name] = values
	}
	switch {
	case reply.XML != nil:
		b := appendDocument(make([]byte, 0, 4096), reply.XML)
		reply.XML = nil // a slow client does not keep it in memory as well
		return x.sendXML(status, b)
	case reply.Stream != nil:
		return x.sendStream(status, reply)
	}
	x.start(status)
	return nil
}

// sendXML sends a document, which is built whole so that its length is known.
func (x *exchange) sendXML(status int, b []byte) error {
	// An answer to a change takes no places, because it must tell the client what was done:
	// the document that asked for it has places.
	if x.req.HTTP.Method == http.MethodGet {
		giveBack, err := x.reserveAnswer(b)
		if err != nil {
			return x.renderError(err)
		}
		defer giveBack()
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", decimal(len(b)))
	x.start(status)
	return x.sendBody(b)
}

// sendBody sends a small body whole. HEAD requests get none.
func (x *exchange) sendBody(b []byte) error {
	if x.req.HTTP.Method == http.MethodHead {
		return nil
	}
	if _, err := x.Write(b); err != nil {
		return x.broken(err)
	}
	return nil
}

// broken gives up an answer whose header is out.
func (x *exchange) broken(err error) error {
	x.abort = true
	if errors.Is(x.sendErr, os.ErrDeadlineExceeded) {
		return s3err.Wrap(s3err.RequestTimeout, err)
	}
	return fmt.Errorf("send the answer: %w", err)
}

// sendStream sends a body of exactly reply.Length bytes, or aborts.
func (x *exchange) sendStream(status int, reply *Reply) error {
	x.w.Header().Set("Content-Length", decimal(reply.Length))
	x.start(status)
	if x.req.HTTP.Method == http.MethodHead {
		return nil
	}
	n, err := reply.Stream.WriteTo(x)
	if err == nil && n != reply.Length {
		err = fmt.Errorf("the body had %d of %d bytes", n, reply.Length)
	}
	if err != nil {
		return x.broken(err)
	}
	return nil
}

// renderError answers with an error document and returns err for the log. Of an
// error without a code the client learns only that there was one.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (x *exchange) renderError(err error) error {
	e := s3err.From(err)
	h := x.w.Header()
	status := e.Code.Status()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", decimal(max(int64(e.RetryAfter.Seconds()), retryAfter)))
	}
	setErrorHeader(h, err)
	x.showRegion(e)
	if errors.Is(err, s3err.NotModified) {
		x.start(status)
		return err
	}
	var b []byte
	if x.html {
		b = x.appendHTML(nil, e)
		h.Set("Content-Type", "text/html; charset=utf-8")
		showError(h, e)
	} else {
		b = x.appendError(nil, e)
		h.Set("Content-Type", "application/xml")
	}
	h.Set("Content-Length", decimal(len(b)))
	x.start(status)
	// A failure to send the error is not reported: the first error is the
	// cause.
	x.sendBody(b)
	return err
}

// appendError writes an error document as S3 has it.
func (x *exchange) appendError(b []byte, e *s3err.Error) []byte {
	message := e.Message
	if message == "" {
		message = defaultMessage(e)
	}
	b = append(b, xmlHeader...)
	if x.req.Target.Control != "" {
		return x.appendControlError(b, e, message)
	}
	b = openTag(b, "Error")
	b = appendErrorElement(b, "Code", string(e.Code))
	b = appendErrorElement(b, "Message", message)
	for _, f := range e.Fields {
		b = appendErrorElement(b, f.Name, f.Value)
	}
	if r := x.req.Target; r.Signed.Path != "" {
		b = appendErrorElement(b, "Resource", r.Resource())
	}
	b = appendErrorElement(b, "RequestId", x.req.ID)
	b = appendErrorElement(b, "HostId", instance)
	return closeTag(b, "Error")
}

// appendControlError writes an error as S3 Control has it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ListTagsForResource.html
func (x *exchange) appendControlError(b []byte, e *s3err.Error, message string) []byte {
	b = openTag(openTag(b, "ErrorResponse"), "Error")
	b = appendErrorElement(b, "Code", string(e.Code))
	b = appendErrorElement(b, "Message", message)
	for _, f := range e.Fields {
		b = appendErrorElement(b, f.Name, f.Value)
	}
	b = closeTag(b, "Error")
	b = appendErrorElement(b, "RequestId", x.req.ID)
	b = appendErrorElement(b, "HostId", instance)
	return closeTag(b, "ErrorResponse")
}

// defaultMessage is the message of an error without one of its own. AWS has
// none for many invalid arguments. People at a terminal see only the message,
// so that it names the argument here.
func defaultMessage(e *s3err.Error) string {
	if e.Code != s3err.InvalidArgument {
		return e.Code.Message()
	}
	named := make(map[string]string, len(e.Fields))
	for _, f := range e.Fields {
		named[f.Name] = f.Value
	}
	name, value := named["ArgumentName"], named["ArgumentValue"]
	if name == "" {
		return e.Code.Message()
	}
	return "The value '" + value + "' of " + name + " is not valid."
}

// appendErrorElement writes an element of an error document. Quotation marks
// are not escaped, as on S3: clients look for them in messages.
func appendErrorElement(b []byte, name, text string) []byte {
	return closeTag(appendEscaped(openTag(b, name), text, `"`), name)
}
