package api

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

const later = `"expiration":"2100-01-01T00:00:00.000Z"`

// postPolicies are documents with the code and text of their refusal; both
// empty for accepted ones.
var postPolicies = map[string]struct{ document, text string }{
	"least":                  {`{` + later + `,"conditions":[]}`, ""},
	"all forms":              {`{` + later + `,"conditions":[{"bucket":"b"},["eq","$key","k"],["starts-with","$x",""],["content-length-range",1,10]]}`, ""},
	"numbers in quotes":      {`{` + later + `,"conditions":[["content-length-range","1","10"]]}`, ""},
	"nothing":                {``, "End-of-Input"},
	"no JSON":                {`invalid json`, "Invalid JSON"},
	"null":                   {`null`, "Invalid JSON"},
	"something after":        {`{` + later + `,"conditions":[]}{}`, "Invalid JSON"},
	"no expiration":          {`{"conditions":[]}`, "missing expiration"},
	"bad expiration":         {`{"expiration":"tomorrow","conditions":[]}`, "'expiration' value: 'tomorrow'"},
	"expiration of no text":  {`{"expiration":true,"conditions":[]}`, "Invalid JSON"},
	"no conditions":          {`{` + later + `}`, "missing conditions"},
	"conditions are no list": {`{` + later + `,"conditions":true}`, "must be a List."},
	"a condition is neither": {`{` + later + `,"conditions":[true]}`, "must be a List or Object"},
	"more":                   {`{` + later + `,"conditions":[],"extra":1}`, `Unexpected: "extra"`},
	"no operation":           {`{` + later + `,"conditions":[[]]}`, "missing operation"},
	"unknown operation":      {`{` + later + `,"conditions":[["ends-with","$key","a"]]}`, "unknown operation 'ends-with'"},
	"arguments":              {`{` + later + `,"conditions":[["eq","$key","a","b"]]}`, "wrong number"},
	"no value":               {`{` + later + `,"conditions":[["eq","$key"]]}`, "wrong number"},
	"a field of no text":     {`{` + later + `,"conditions":[["eq",1,"a"]]}`, "Invalid JSON"},
	"a value of no text":     {`{` + later + `,"conditions":[["eq","$key",["a"]]]}`, "Invalid JSON"},
	"two at once":            {`{` + later + `,"conditions":[{"a":"b","c":"d"}]}`, "exactly one property"},
	"no value at all":        {`{` + later + `,"conditions":[{}]}`, "exactly one property"},
	"a number":               {`{` + later + `,"conditions":[{"a":1}]}`, "must be a string"},
	"negative length":        {`{` + later + `,"conditions":[["content-length-range",-1,0]]}`, "Invalid JSON"},
	"length upside down":     {`{` + later + `,"conditions":[["content-length-range",2,1]]}`, "Invalid JSON"},
	"length of no number":    {`{` + later + `,"conditions":[["content-length-range",1,false]]}`, "Invalid JSON"},
	"a length beyond":        {`{` + later + `,"conditions":[["content-length-range",0,9223372036854775808]]}`, "Invalid JSON"},
}

func encoded(document string) string { return base64.StdEncoding.EncodeToString([]byte(document)) }

func TestParsePostPolicy(t *testing.T) {
	for name, test := range postPolicies {
		_, err := parsePostPolicy(encoded(test.document))
		switch {
		case test.text == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.text != "" && (codeOf(err) != s3err.InvalidPolicyDocument || !strings.Contains(err.Error(), test.text)):
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parsePostPolicy("not_base64"); codeOf(err) != s3err.InvalidPolicyDocument {
		t.Errorf("no base64: %v", err)
	}
}

// FuzzPostPolicy checks that a form passes only if the policy names it in both
// directions.
func FuzzPostPolicy(f *testing.F) {
	for _, test := range postPolicies {
		f.Add(test.document, "key", "k")
	}
	f.Fuzz(func(t *testing.T, document, name, value string) {
		p, err := parsePostPolicy(encoded(document))
		if err != nil {
			if codeOf(err) != s3err.InvalidPolicyDocument {
				t.Fatal(err)
			}
			return
		}
		name = strings.ToLower(name)
		if p.check(map[string]string{name: value}, []string{name}, "bucket", time.Unix(0, 0)) != nil {
			return
		}
		ofBucket, ofField := false, name == "policy" || name == "file" || name == "x-amz-signature" || strings.HasPrefix(name, "x-ignore-")
		for _, c := range p.conditions {
			ofBucket = ofBucket || c.field == "bucket" && strings.HasPrefix("bucket", c.value)
			ofField = ofField || c.field == name
			if c.field != "bucket" && c.field != name {
				t.Errorf("%s: the condition on %q was met by nothing", document, c.field)
			}
			if c.field == name && name != "bucket" && !c.prefix && c.value != value {
				t.Errorf("%s: %q is not %q", document, value, c.value)
			}
		}
		if !ofBucket || !ofField {
			t.Errorf("%s allows the field %q", document, name)
		}
	})
}

// FuzzForm checks that a form yields no more than its limits, and that a file
// ends well only at a boundary.
func FuzzForm(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a/b\"\r\n\r\nbody\r\n--b--\r\n")
	f.Add("--b\nContent-Disposition: form-data; name=\"file\"\n\nbody\n--b--")
	f.Add("--b\r\n\r\n\r\n--b--")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := readForm("multipart/form-data; boundary=b", strings.NewReader(body), int64(len(body)))
		if err != nil {
			if codeOf(err) == s3err.InternalError {
				t.Fatal(err)
			}
			return
		}
		size := 0
		for name, value := range form.fields {
			size += len(name) + len(value)
		}
		if size > maxFormBytes || len(form.fields) > maxFormFields || strings.ContainsAny(form.filename, `/\`) {
			t.Errorf("%d bytes in %d fields, file %q", size, len(form.fields), form.filename)
		}
		var n int64
		buf := make([]byte, 7)
		for err == nil {
			var m int
			m, err = form.Read(buf)
			n += int64(m)
		}
		if n > form.most || codeOf(err) == s3err.InternalError && err.Error() != "EOF" {
			t.Errorf("%d bytes of %d: %v", n, form.most, err)
		}
	})
}
