package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// documentShape describes the documents of an operation.
type documentShape struct {
	root string
	open string // the tags below root that lead to the repeated element, or to text
	one  string // the repeated element; empty: nothing repeats, and leaf is in open
	most int    // the largest number of one; 0: nothing repeats
	leaf string // an element of text within open, or within one
	code string // of a malformed document; empty: MalformedXML
	many string // of too many of one; empty: code
}

// shapes has every operation that takes XML. Operations with JSON have no root.
var shapes = map[string]documentShape{
	"CreateBucket": {root: "CreateBucketConfiguration", open: "Tags",
		one: "<Tag><Key>a</Key><Value>b</Value></Tag>", most: 50, leaf: "Tag/Key", many: "BadRequest"},
	"PutBucketAccelerateConfiguration": {root: "AccelerateConfiguration", leaf: "Status"},
	"PutBucketAcl": {root: "AccessControlPolicy", open: "AccessControlList", one: "<Grant/>", most: 100,
		leaf: "Grant/Permission", code: "MalformedACLError"},
	"PutBucketCors": {root: "CORSConfiguration",
		one: "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>", most: 100, leaf: "CORSRule/ID", many: "InvalidRequest"},
	"PutBucketEncryption": {root: "ServerSideEncryptionConfiguration", open: "Rule/BlockedEncryptionTypes",
		one: "<EncryptionType>NONE</EncryptionType>", most: 10, leaf: "EncryptionType"},
	"PutBucketLifecycleConfiguration":    {root: "LifecycleConfiguration", one: "<Rule><Status>Enabled</Status></Rule>", most: 1000, leaf: "Rule/ID"},
	"PutBucketLogging":                   {root: "BucketLoggingStatus", open: "LoggingEnabled/TargetGrants", one: "<Grant/>", most: 100, leaf: "Grant/Permission"},
	"PutBucketNotificationConfiguration": {root: "NotificationConfiguration", open: "TopicConfiguration", one: "<Event>e</Event>", most: 100, leaf: "Event"},
	"PutObjectLockConfiguration":         {root: "ObjectLockConfiguration", leaf: "ObjectLockEnabled"},
	"PutBucketOwnershipControls":         {root: "OwnershipControls", one: "<Rule/>", most: 1, leaf: "Rule/ObjectOwnership"},
	"PutBucketPolicy":                    {},
	"PutPublicAccessBlock":               {root: "PublicAccessBlockConfiguration", leaf: "BlockPublicAcls"},
	"PutBucketRequestPayment":            {root: "RequestPaymentConfiguration", leaf: "Payer"},
	"PutBucketTagging": {root: "Tagging", open: "TagSet", one: "<Tag><Key>a</Key><Value>b</Value></Tag>",
		most: 50, leaf: "Tag/Key", many: "BadRequest"},
	"TagResource": {root: "TagResourceRequest", open: "Tags",
		one: "<Tag><Key>a</Key><Value>b</Value></Tag>", most: 50, leaf: "Tag/Key", many: "BadRequest"},
	"PutBucketVersioning": {root: "VersioningConfiguration", leaf: "Status"},
	"PutBucketWebsite": {root: "WebsiteConfiguration", open: "RoutingRules",
		one: "<RoutingRule><Redirect/></RoutingRule>", most: 50, leaf: "RoutingRule/Redirect/HostName", many: "InvalidRequest"},
	"PutBucketInventoryConfiguration": {root: "InventoryConfiguration", open: "OptionalFields", one: "<Field>Size</Field>", most: 16, leaf: "Field"},
	"DeleteObjects":                   {root: "Delete", one: "<Object><Key>k</Key></Object>", most: 1000, leaf: "Object/Key"},
	"CompleteMultipartUpload": {root: "CompleteMultipartUpload",
		one: "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>", most: 10_000, leaf: "Part/ETag"},
	"PutObjectAcl": {root: "AccessControlPolicy", open: "AccessControlList", one: "<Grant/>", most: 100,
		leaf: "Grant/Permission", code: "MalformedACLError"},
	"PutObjectTagging":   {root: "Tagging", open: "TagSet", one: "<Tag><Key>a</Key><Value>b</Value></Tag>", most: 50, leaf: "Tag/Key", many: "BadRequest"},
	"PutObjectRetention": {root: "Retention", leaf: "Mode"},
	"PutObjectLegalHold": {root: "LegalHold", leaf: "Status"},
}

// within puts text into elements, named by a path.
func within(path, text string) string {
	names := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	for i := len(names) - 1; i >= 0; i-- {
		text = "<" + names[i] + ">" + text + "</" + names[i] + ">"
	}
	return text
}

// begin is the start of a document up to where things repeat, never closed.
func (s documentShape) begin() string {
	b := "<" + s.root + ">"
	for name := range strings.SplitSeq(s.open, "/") {
		if name != "" {
			b += "<" + name + ">"
		}
	}
	return b
}

// hostile returns refused documents of about size bytes, by their defect.
func (s documentShape) hostile(size int) map[string]string {
	fill := func(before, unit string) string {
		return before + strings.Repeat(unit, max(1, (size-len(before))/len(unit)))
	}
	text := func(content string) string {
		return "<" + s.root + ">" + within(s.open, within(s.leaf, content)) + "</" + s.root + ">"
	}
	room := size - len(text(""))
	wide := func(encode func([]uint16) []byte) string {
		return string(encode(utf16.Encode([]rune("\uFEFF" + text("a")))))
	}
	first, _, _ := strings.Cut(s.leaf, "/")
	docs := map[string]string{
		"unknown elements":        fill(s.begin(), "<x/>"),
		"unknown empty elements":  fill(s.begin(), "<y></y>"),
		"open elements":           fill("", "<x>"),
		"nested roots":            fill("", "<"+s.root+">"),
		"nested elements":         fill(s.begin(), "<"+first+">"),
		"long text":               text(strings.Repeat("a", room)),
		"long character data":     text("<![CDATA[" + strings.Repeat("a", room-12) + "]]>"),
		"references":              text(strings.Repeat("&#65;", room/5)),
		"long name":               fill("<", "a"),
		"long prefix":             fill("<", "a") + ":" + s.root + ">",
		"attributes":              fill("<"+s.root, ` a=""`),
		"different attributes":    "<" + s.root + different(size, ` %x=""`),
		"attributes further down": fill(s.begin()+"<"+first, ` b="1"`),
		"namespaces":              "<" + s.root + different(size, ` xmlns:a%x="u"`),
		"long attribute":          `<` + s.root + ` a="` + strings.Repeat("&#65;", size/5),
		"DOCTYPE":                 `<!DOCTYPE a [<!ENTITY a "b">]>` + text("&a;"),
		"entities of entities":    "<!DOCTYPE a [<!ENTITY a0 \"a\">" + different(size, `<!ENTITY a%[1]x "&a0;&a0;">`) + "]>" + text("&a1;"),
		"external entity":         `<!DOCTYPE a SYSTEM "http://127.0.0.1/">` + text("a"),
		"comments":                fill("", "<!---->") + "<x/>",
		"comments within":         fill(s.begin(), "<!---->") + "<x/>",
		"instructions":            fill("", "<?a b?>"),
		"instructions within":     fill(s.begin(), "<?a?>"),
		"blanks":                  fill(s.begin(), " ") + "x",
		"trailing junk":           text("a") + "x",
		"trailing root":           fill("", text("a")),
		"UTF-16 little endian":    wide(func(u []uint16) (b []byte) { return units(u, 0) }),
		"UTF-16 big endian":       wide(func(u []uint16) (b []byte) { return units(u, 8) }),
		"another encoding":        `<?xml version="1.0" encoding="UTF-16"?>` + text("a"),
		"two byte order marks":    "\uFEFF\uFEFF" + text("a"),
		"not UTF-8":               text("\xff"),
		"zero bytes":              fill(s.begin(), "\x00"),
		"unclosed":                s.begin(),
	}
	if room > 128<<10 { // otherwise it is not longer than a text may be
		docs["character data sections"] = text(strings.Repeat("<![CDATA[a]]>", room/13))
		docs["text between comments"] = text(strings.Repeat("a<!---->", room/8))
	}
	if s.most == 0 {
		docs["repeated"] = "<" + s.root + ">" + within(s.leaf, "a") + within(s.leaf, "a") + "</" + s.root + ">"
	}
	return docs
}

// different returns about size bytes of units, each with its own number.
func different(size int, unit string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, unit, i)
	}
	return b.String()
}

// units are UTF-16, in the byte order that has the shifted byte first.
func units(u []uint16, shift int) (b []byte) {
	for _, c := range u {
		b = append(b, byte(c>>shift), byte(c>>(8-shift)))
	}
	return b
}

// allocated runs f and returns the number of bytes that were allocated
// meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The bytes that a request with a document may allocate, client and server
// together: so many for each byte of the document, plus those of any request.
const (
	documentFactor  = 8
	documentAllowed = 1 << 20
	// A policy has at most 20 KB; each of its values takes about 80 bytes.
	policyAllowed = 3 << 20
)

// settingsShown are sub-resources that hostile documents must not change.
var settingsShown = []string{"acl", "cors", "encryption", "lifecycle", "logging", "notification", "object-lock", "ownershipControls",
	"policy", "publicAccessBlock", "requestPayment", "tagging", "versioning", "website", "inventory&id=i", "accelerate"}

// TestHostileDocuments sends costly documents to every operation that takes
// one. Each is refused as malformed, allocates no more than its length allows,
// and changes nothing.
func TestHostileDocuments(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1})
	g.Must(t, 200, "PUT", "/bkt", nil, "x-amz-bucket-object-lock-enabled", "true", "x-amz-object-ownership", "ObjectWriter")
	g.Must(t, 200, "PUT", "/bkt/key", []byte("content"))
	upload := newUpload(t, g, "/bkt/key")
	etag := sendPart(t, g, "/bkt/key", upload, 1, []byte("part"))
	state := func() string {
		var b strings.Builder
		for _, q := range settingsShown {
			res := g.Do(t, g.Root, "GET", "/bkt?"+q, nil)
			fmt.Fprintln(&b, q, res.Status, res.Code(), res.Element("Rule"))
			if res.Status == 200 {
				b.Write(res.Body)
			}
		}
		for _, target := range []string{"/bkt/key", "/bkt/key?acl", "/bkt/key?tagging", "/bkt/key?uploadId=" + upload, "/bkt?versions"} {
			b.Write(g.Must(t, 200, "GET", target, nil).Body)
		}
		return b.String()
	}
	before, cases := state(), 0
	send := func(op *api.Operation, shape documentShape, what, doc, code string) {
		t.Helper()
		target := "/bkt"
		if op.Name == "CreateBucket" {
			target = "/other"
		}
		if op.Scope == api.ObjectScope {
			target += "/key"
		}
		var account []string
		if op.Scope == api.ControlScope {
			target = "/v20180820/tags/arn:aws:s3:::bkt"
			account = []string{"X-Amz-Account-Id", accounts.Account(g.Root.Tenant.ID)}
		}
		for i, q := range op.Query {
			target += map[bool]string{true: "?", false: "&"}[i == 0] + q
			switch q {
			case "uploadId":
				target += "=" + upload
			case "inventory":
				target += "&id=i"
			}
		}
		if int64(len(doc)) > op.MaxBody {
			t.Fatalf("%s, %s: the document has %d bytes", op.Name, what, len(doc))
		}
		sum := weakhash.MD5([]byte(doc))
		var res gatewaytest.Response
		used := allocated(func() {
			res = g.Do(t, g.Root, op.Method, target, []byte(doc), append(account, "Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))...)
		})
		cases++
		allowed := documentAllowed
		if shape.root == "" {
			allowed = policyAllowed
		}
		if res.Status != 400 || res.Code() != code {
			t.Errorf("%s, %s: %d %s, want %s", op.Name, what, res.Status, res.Body[:min(len(res.Body), 300)], code)
		}
		if most := uint64(documentFactor*len(doc) + allowed); used > most {
			t.Errorf("%s, %s: a document of %d bytes allocated %d, more than %d", op.Name, what, len(doc), used, most)
		}
	}
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.Body != api.XMLBody || op.Handle == nil {
			continue
		}
		shape, ok := shapes[op.Name]
		if !ok {
			t.Errorf("%s takes a document: it needs a row in shapes, in this file", op.Name)
			continue
		}
		size := int(op.MaxBody) * 3 / 4
		if shape.root == "" {
			for what, doc := range hostileJSON(min(size, 20<<10)) {
				send(op, shape, what, doc, "MalformedPolicy")
			}
			continue
		}
		code := shape.code
		if code == "" {
			code = "MalformedXML"
		}
		for what, doc := range shape.hostile(size) {
			send(op, shape, what, doc, code)
		}
		if shape.most > 0 {
			if first, _, _ := strings.Cut(shape.leaf, "/"); strings.Contains(shape.one, "><") { // it cannot be empty
				send(op, shape, "empty elements", "<"+shape.root+">"+within(shape.open, strings.Repeat("<"+first+"/>", shape.most))+"</"+shape.root+">", code)
			}
			tooMany := shape.begin() + strings.Repeat(shape.one, shape.most+1)
			full := tooMany + strings.Repeat(shape.one, max(0, (size-len(tooMany))/len(shape.one)))
			if shape.many != "" {
				code = shape.many
			}
			send(op, shape, "one too many", tooMany, code)
			send(op, shape, "far too many", full, code)
		}
	}
	if after := state(); after != before {
		t.Errorf("state changed from\n%s\nto\n%s", before, after)
	}
	expect(t, "a bucket of a refused document", g.Do(t, g.Root, "HEAD", "/other", nil), 404, "")
	res := g.Must(t, 200, "POST", "/bkt/key?uploadId="+upload, completeDocument(part(1, etag)))
	if !bytes.Contains(res.Body, []byte("CompleteMultipartUploadResult")) {
		t.Errorf("the upload is not whole: %s", res.Body)
	}
	t.Logf("%d documents", cases)
}

// hostileJSON returns refused policies of about size bytes.
func hostileJSON(size int) map[string]string {
	fill := func(before, unit string) string { return before + strings.Repeat(unit, (size-len(before))/len(unit)) }
	return map[string]string{
		"nested lists":     fill("", "["),
		"nested objects":   fill("", `{"a":`),
		"closed lists":     fill(`{"Statement":`, "[]"),
		"many numbers":     fill(`{"Statement":[1`, ",1") + "]}",
		"many strings":     fill(`{"Statement":[""`, `,""`) + "]}",
		"many members":     `{"a":1` + different(size-100, `,"%x":1`) + "}",
		"repeated members": fill(`{"a":1`, `,"a":1`) + "}",
		"many statements":  fill(`{"Version":"2012-10-17","Statement":[{}`, ",{}") + "]}",
		"many actions": fill(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Resource":"arn:aws:s3:::bkt","Action":["x"`,
			`,"x"`) + "]}]}",
		"trailing junk":     `{"Version":"2012-10-17","Statement":[]}x`,
		"UTF-16":            string(units(utf16.Encode([]rune(`{"Version":"2012-10-17"}`)), 0)),
		"XML":               "<a/>",
		"a byte order mark": "\uFEFF{}",
	}
}
