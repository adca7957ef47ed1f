package api

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a browser's upload form.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
const (
	maxFormBytes  = 20 << 10 // names and values of the fields before the file, in bytes
	maxFormFields = 128
	// maxFormRaw bounds the fields with their headers and boundaries, and the
	// rest after the file.
	maxFormRaw = 64 << 10
	// formUnit is how much is read at once before the file. It is small, so
	// that the beginning of the file is known to a few bytes.
	formUnit = 512
)

// form is a browser's upload form: its fields, and then its file as a stream.
// It buffers only a small part of the file.
type form struct {
	fields   map[string]string // by name in lower case
	names    []string          // in the order sent
	filename string            // as the browser sent it, without a path
	most     int64             // upper bound of the file's bytes

	in    *formSource
	parts *multipart.Reader
	file  *multipart.Part
	min   int64 // least size of the file, in bytes
	max   int64 // largest size of the file, in bytes
	size  int64 // bytes of the file read so far
	err   error // of Read; final
}

// formSource counts the bytes read of a body of length bytes. It fails at a
// limit.
type formSource struct {
	from   io.Reader
	length int64
	read   int64
	limit  int64
	unit   int64
	err    error // of the connection
}

// errFormLimit ends the reading of a form; malformed translates it.
var errFormLimit = errors.New("the form is longer than its limit")

// Read reads small units before the file, see formUnit.
func (s *formSource) Read(p []byte) (int, error) {
	switch {
	case s.read >= s.length:
		return 0, io.EOF
	case s.read >= s.limit:
		return 0, errFormLimit
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.unit, s.limit-s.read)])
	s.read += int64(n)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

// readForm reads a form of length bytes up to the beginning of its file.
func readForm(contentType string, body io.Reader, length int64) (*form, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	switch boundary := parameters["boundary"]; {
	case media != "multipart/form-data":
		return nil, s3err.New(s3err.PreconditionFailed, "").With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	case err != nil || boundary == "" || len(boundary) > 70: // RFC 2046, section 5.1.1
		return nil, s3err.MalformedPOSTRequest
	case length < 0:
		return nil, s3err.MissingContentLength
	}
	f := &form{fields: make(map[string]string), max: MaxObjectBytes}
	f.in = &formSource{from: body, length: length, limit: maxFormRaw, unit: formUnit}
	f.parts = multipart.NewReader(f.in, parameters["boundary"])
	size := 0
	for {
		part, err := f.parts.NextRawPart()
		if err == io.EOF {
			return nil, noFile()
		} else if err != nil {
			return nil, f.malformed(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "" { // RFC 7578, section 4.2: every part has a name
			return nil, s3err.MalformedPOSTRequest
		}
		if name == "file" {
			f.file, f.filename = part, baseName(part.Header.Get("Content-Disposition"))
			break
		}
		if err := f.readField(name, part, &size); err != nil {
			return nil, err
		}
	}
	// Twice the unit: a part of the file is already in buffers.
	f.most = min(length, length-f.in.read+2*formUnit)
	f.in.limit, f.in.unit = length, length
	return f, nil
}

// noFile refuses a form that does not have exactly one file.
func noFile() error {
	return s3err.New(s3err.InvalidArgument, "POST requires exactly one file upload per request.").With("ArgumentName", "file")
}

// readField reads one field before the file. size counts the bytes of all
// fields.
func (f *form) readField(name string, part *multipart.Part, size *int) error {
	value, err := io.ReadAll(io.LimitReader(part, maxFormBytes+1))
	if err != nil {
		return f.malformed(err)
	}
	*size += len(name) + len(value)
	_, repeated := f.fields[name]
	switch {
	case *size > maxFormBytes || len(f.names) == maxFormFields:
		return tooMuchForm()
	case repeated: // it is ambiguous which one counts
		return s3err.New(s3err.InvalidArgument, "A form field was given more than once.").With("ArgumentName", name)
	}
	f.fields[name] = string(value)
	f.names = append(f.names, name)
	return nil
}

// tooMuchForm refuses fields beyond maxFormBytes or maxFormFields.
func tooMuchForm() error {
	return s3err.New(s3err.MaxPostPreDataLengthExceeded, "").With("MaxSizeAllowed", decimal(maxFormBytes))
}

// malformed distinguishes a malformed form from a broken connection, which
// package multipart does not always report.
func (f *form) malformed(err error) error {
	switch {
	case errors.Is(f.in.err, s3err.RequestTimeout):
		return f.in.err
	case errors.Is(err, errFormLimit) && f.file == nil:
		return tooMuchForm()
	case errors.Is(err, s3err.RequestTimeout) || errors.Is(err, s3err.IncompleteBody):
		return err
	}
	return s3err.Wrap(s3err.MalformedPOSTRequest, err)
}

// baseName returns the file's name in a Content-Disposition. Some browsers send
// a path.
func baseName(disposition string) string {
	_, parameters, _ := mime.ParseMediaType(disposition)
	name := parameters["filename"]
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// Read yields the file. It returns io.EOF only when the form ended correctly
// and the file's length is within the bounds that were signed.
func (f *form) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.file.Read(p)
	f.size += int64(n)
	switch {
	case f.size > f.max:
		f.err = s3err.New(s3err.EntityTooLarge, "").With("ProposedSize", decimal(f.size)).With("MaxSizeAllowed", decimal(f.max))
	case err == io.EOF:
		f.err = f.end()
	case err != nil:
		f.err = f.malformed(err)
	default:
		return n, nil
	}
	if f.err == io.EOF {
		return n, io.EOF
	}
	return 0, f.err
}

// end reads the rest after the file, which has no effect, and checks the file's
// length.
func (f *form) end() error {
	if f.size < f.min {
		return s3err.New(s3err.EntityTooSmall, "").With("ProposedSize", decimal(f.size)).With("MinSizeAllowed", decimal(f.min))
	}
	f.in.limit = f.in.read + maxFormRaw
	for {
		part, err := f.parts.NextRawPart()
		if err == io.EOF {
			return io.EOF
		} else if err != nil {
			return f.malformed(err)
		}
		if strings.EqualFold(part.FormName(), "file") {
			return noFile()
		}
	}
}
