package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lifecycleOf makes a LifecycleConfiguration of rules. A rule without a filter
// gets one that selects everything.
func lifecycleOf(rules ...string) string {
	var b strings.Builder
	for _, r := range rules {
		if !strings.Contains(r, "<Filter") && !strings.HasPrefix(r, "<Prefix>") {
			r = "<Filter/>" + r
		}
		if !strings.Contains(r, "<Status>") {
			r += "<Status>Enabled</Status>"
		}
		b.WriteString("<Rule>" + r + "</Rule>")
	}
	return "<LifecycleConfiguration>" + b.String() + "</LifecycleConfiguration>"
}

// noPlaces: no storage class is the name of a backend.
func noPlaces(string) bool { return false }

const expire = "<Expiration><Days>1</Days></Expiration>"

func filtered(filter string) string { return "<Filter>" + filter + "</Filter>" + expire }

func oneTag(key, value string) string {
	return "<Tag><Key>" + key + "</Key><Value>" + value + "</Value></Tag>"
}

func transition(days int, class string) string {
	return fmt.Sprintf("<Transition><Days>%d</Days><StorageClass>%s</StorageClass></Transition>", days, class)
}

var lifecycles = map[string]struct {
	document string
	code     s3err.Code // empty: accepted
}{
	"expiration":             {lifecycleOf(expire), ""},
	"old form":               {lifecycleOf("<Prefix>a/</Prefix>" + expire), ""},
	"old form, no prefix":    {lifecycleOf("<Prefix></Prefix>" + expire), ""},
	"disabled":               {lifecycleOf(expire + "<Status>Disabled</Status>"), ""},
	"a date":                 {lifecycleOf("<Expiration><Date>2030-01-01</Date></Expiration>"), ""},
	"a midnight":             {lifecycleOf("<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>"), ""},
	"midnight elsewhere":     {lifecycleOf("<Expiration><Date>2030-01-01T01:00:00+01:00</Date></Expiration>"), ""},
	"lone delete markers":    {lifecycleOf("<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), ""},
	"noncurrent":             {lifecycleOf("<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>100</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), ""},
	"abort":                  {lifecycleOf("<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), ""},
	"prefix":                 {lifecycleOf(filtered("<Prefix>a</Prefix>")), ""},
	"tag":                    {lifecycleOf(filtered(oneTag("a", "b"))), ""},
	"sizes":                  {lifecycleOf(filtered("<And><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan><ObjectSizeLessThan>1</ObjectSizeLessThan></And>")), ""},
	"two tags":               {lifecycleOf(filtered("<And>" + oneTag("a", "b") + oneTag("c", "d") + "</And>")), ""},
	"transitions":            {lifecycleOf(transition(30, "STANDARD_IA") + transition(60, "GLACIER_IR") + "<Expiration><Days>90</Days></Expiration>"), ""},
	"at once":                {lifecycleOf(transition(0, "INTELLIGENT_TIERING")), ""},
	"noncurrent transitions": {lifecycleOf("<NoncurrentVersionTransition><NoncurrentDays>30</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions><StorageClass>ONEZONE_IA</StorageClass></NoncurrentVersionTransition>"), ""},
	"1,000 rules":            {lifecycleOf(strings.Split(strings.Repeat(expire+"|", 1000), "|")[:1000]...), ""},

	"no rules":         {lifecycleOf(), s3err.MalformedXML},
	"1,001 rules":      {lifecycleOf(strings.Split(strings.Repeat(expire+"|", 1001), "|")[:1001]...), s3err.MalformedXML},
	"same id":          {lifecycleOf("<ID>a</ID>"+expire, "<ID>a</ID>"+expire), s3err.InvalidArgument},
	"long id":          {lifecycleOf("<ID>" + longText(256) + "</ID>" + expire), s3err.InvalidArgument},
	"status":           {lifecycleOf(expire + "<Status>enabled</Status>"), s3err.MalformedXML},
	"no action":        {lifecycleOf(""), s3err.InvalidRequest},
	"neither filter":   {"<LifecycleConfiguration><Rule><Status>Enabled</Status>" + expire + "</Rule></LifecycleConfiguration>", s3err.MalformedXML},
	"both filters":     {lifecycleOf("<Prefix>a</Prefix><Filter><Prefix>a</Prefix></Filter>" + expire), s3err.MalformedXML},
	"two in a filter":  {lifecycleOf(filtered("<Prefix>a</Prefix>" + oneTag("a", "b"))), s3err.MalformedXML},
	"one in an And":    {lifecycleOf(filtered("<And><Prefix>a</Prefix></And>")), s3err.MalformedXML},
	"beside an And":    {lifecycleOf(filtered("<Prefix>a</Prefix><And>" + oneTag("a", "b") + oneTag("c", "d") + "</And>")), s3err.MalformedXML},
	"two tags, no And": {lifecycleOf(filtered(oneTag("a", "b") + oneTag("c", "d"))), s3err.MalformedXML},
	"same tag twice":   {lifecycleOf(filtered("<And>" + oneTag("a", "b") + oneTag("a", "c") + "</And>")), s3err.InvalidTag},
	"long prefix":      {lifecycleOf(filtered("<Prefix>" + longText(meta.MaxKeyBytes+1) + "</Prefix>")), s3err.InvalidRequest},
	"sizes that exclude": {lifecycleOf(filtered("<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And>")),
		s3err.InvalidRequest},
	"negative size":    {lifecycleOf(filtered("<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>")), s3err.InvalidRequest},
	"days and date":    {lifecycleOf("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"), s3err.MalformedXML},
	"days and marker":  {lifecycleOf("<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), s3err.MalformedXML},
	"empty expiration": {lifecycleOf("<Expiration/>"), s3err.MalformedXML},
	"0 days":           {lifecycleOf("<Expiration><Days>0</Days></Expiration>"), s3err.InvalidArgument},
	"days beyond":      {lifecycleOf("<Expiration><Days>2147483648</Days></Expiration>"), s3err.MalformedXML},
	"noon":             {lifecycleOf("<Expiration><Date>2030-01-01T12:00:00Z</Date></Expiration>"), s3err.InvalidArgument},
	"no date":          {lifecycleOf("<Expiration><Date>20300101</Date></Expiration>"), s3err.MalformedXML},
	"markers with tags": {lifecycleOf("<Filter>" + oneTag("a",
		"b") + "</Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), s3err.InvalidRequest},
	"0 noncurrent days":     {lifecycleOf("<NoncurrentVersionExpiration><NoncurrentDays>0</NoncurrentDays></NoncurrentVersionExpiration>"), s3err.InvalidArgument},
	"no noncurrent days":    {lifecycleOf("<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), s3err.MalformedXML},
	"101 newer":             {lifecycleOf("<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), s3err.InvalidArgument},
	"newer in the old form": {lifecycleOf("<Prefix>a</Prefix><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), s3err.InvalidRequest},
	"abort with tags": {lifecycleOf("<Filter>" + oneTag("a",
		"b") + "</Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), s3err.InvalidRequest},
	"abort with sizes":        {lifecycleOf("<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), s3err.InvalidRequest},
	"abort at once":           {lifecycleOf("<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), s3err.InvalidArgument},
	"unknown class":           {lifecycleOf(transition(30, "LUKEWARM")), s3err.MalformedXML},
	"a class to restore from": {lifecycleOf(transition(30, "GLACIER")), s3err.NotImplemented},
	"the same class twice":    {lifecycleOf(transition(30, "STANDARD_IA") + transition(40, "STANDARD_IA")), s3err.InvalidRequest},
	"cool too early":          {lifecycleOf(transition(29, "STANDARD_IA")), s3err.InvalidArgument},
	"negative days":           {lifecycleOf(transition(-1, "GLACIER_IR")), s3err.InvalidArgument},
	"days with a date":        {lifecycleOf(transition(30, "STANDARD_IA") + "<Expiration><Date>2030-01-01</Date></Expiration>"), s3err.InvalidRequest},
	"expires before":          {lifecycleOf(transition(30, "STANDARD_IA") + "<Expiration><Days>30</Days></Expiration>"), s3err.InvalidArgument},
	"no days at all":          {lifecycleOf("<Transition><StorageClass>STANDARD_IA</StorageClass></Transition>"), s3err.MalformedXML},
	"other element":           {lifecycleOf(expire + "<Encrypt>true</Encrypt>"), s3err.MalformedXML},
	"nothing":                 {"", s3err.MissingRequestBody},
}

// Every accepted configuration is shown in the form in which it was sent, and
// accepted again.
func TestParseLifecycle(t *testing.T) {
	for name, test := range lifecycles {
		l, err := parseLifecycle([]byte(test.document), noPlaces)
		if codeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
		if err != nil {
			continue
		}
		first, _ := json.Marshal(l)
		again, err := parseLifecycle(appendDocument(nil, lifecycleRules(l.Rules)), noPlaces)
		if err != nil {
			t.Errorf("%s: shown in a form that is refused: %v", name, err)
			continue
		}
		if second, _ := json.Marshal(again); string(first) != string(second) {
			t.Errorf("%s: %s became %s", name, first, second)
		}
	}
}

func FuzzParseLifecycle(f *testing.F) {
	for _, test := range lifecycles {
		if len(test.document) < 2000 {
			f.Add([]byte(test.document))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		l, err := parseLifecycle(document, noPlaces)
		if err != nil {
			if codeOf(err) == s3err.InternalError {
				t.Fatal(err)
			}
			return
		}
		first, _ := json.Marshal(l)
		again, err := parseLifecycle(appendDocument(nil, lifecycleRules(l.Rules)), noPlaces)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, _ := json.Marshal(again); string(first) != string(second) {
			t.Errorf("%s became %s", first, second)
		}
	})
}
