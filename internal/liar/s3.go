package liar

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/weakhash"
)

func understandS3(r *http.Request, body []byte) *request {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := &request{key: key, body: unchunk(r, body), r: r}
	has := r.URL.Query().Has
	switch {
	case r.Method == http.MethodGet && has("uploads"):
		q.call = Uploads
	case r.Method == http.MethodGet && key == "":
		q.call = List
	case r.Method == http.MethodPost && has("delete"):
		q.call = Bulk
	case r.Method == http.MethodPost && has("uploads"):
		q.call = Begin
	case r.Method == http.MethodPost:
		q.call = Complete
	case r.Method == http.MethodDelete && has("uploadId"):
		q.call = Abort
	default:
		q.call = map[string]string{http.MethodPut: Put, http.MethodGet: Get, http.MethodHead: Stat, http.MethodDelete: Delete}[r.Method]
		if q.call == Put && has("partNumber") {
			q.call = Part
		}
	}
	return q
}

// unchunk undoes the framing of aws-chunked bodies.
func unchunk(r *http.Request, body []byte) []byte {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
		return body
	}
	var out []byte
	for {
		head, rest, _ := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := strings.Cut(string(head), ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil || n == 0 || int(n) > len(rest) {
			return out
		}
		out, body = append(out, rest[:n]...), bytes.TrimPrefix(rest[n:], []byte("\r\n"))
	}
}

func etagOf(data []byte) string {
	sum := weakhash.MD5(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// checksum is the one that is echoed.
const checksum = "X-Amz-Checksum-Crc32c"

func document(status int, text string) answer {
	return answer{status, http.Header{"Content-Type": {"application/xml"}}, []byte(text)}
}

func (s *Server) s3(q *request) answer {
	query := q.r.URL.Query()
	switch q.call {
	case List:
		return s.listS3(query.Get("prefix"), max(query.Get("start-after"), query.Get("continuation-token")), query.Get("max-keys"))
	case Uploads:
		return document(200, "<ListMultipartUploadsResult/>")
	case Begin:
		s.begun++
		id := fmt.Sprint("upload", s.begun)
		s.uploads[id] = map[int][]byte{}
		return document(200, "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>"+id+"</UploadId></InitiateMultipartUploadResult>")
	case Part:
		n, _ := strconv.Atoi(query.Get("partNumber"))
		parts := s.uploads[query.Get("uploadId")]
		if parts == nil {
			return document(404, "<Error><Code>NoSuchUpload</Code></Error>")
		}
		parts[n] = q.body
		return answer{200, http.Header{"Etag": {etagOf(q.body)}}, nil}
	case Abort:
		delete(s.uploads, query.Get("uploadId"))
		return answer{204, nil, nil}
	case Complete:
		parts := s.uploads[query.Get("uploadId")]
		if parts == nil {
			return document(404, "<Error><Code>NoSuchUpload</Code></Error>")
		}
		var whole []byte
		for _, n := range slices.Sorted(maps.Keys(parts)) {
			whole = append(whole, parts[n]...)
		}
		s.objects[q.key] = object{whole, time.Now()}
		return document(200, "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>&quot;0123-2&quot;</ETag></CompleteMultipartUploadResult>")
	case Bulk:
		var doc struct {
			Objects []struct{ Key string } `xml:"Object"`
		}
		if xml.Unmarshal(q.body, &doc) != nil {
			return document(400, "<Error><Code>MalformedXML</Code></Error>")
		}
		out := "<DeleteResult>"
		for _, o := range doc.Objects {
			delete(s.objects, o.Key)
			out += "<Deleted><Key>" + o.Key + "</Key></Deleted>"
		}
		return document(200, out+"</DeleteResult>")
	case Delete:
		delete(s.objects, q.key)
		return answer{204, nil, nil}
	case Put:
		if _, taken := s.objects[q.key]; taken && q.r.Header.Get("If-None-Match") == "*" {
			return document(412, "<Error><Code>PreconditionFailed</Code></Error>")
		}
		s.objects[q.key] = object{q.body, time.Now()}
		header := http.Header{"Etag": {etagOf(q.body)}}
		if q.r.Header.Get(checksum) != "" {
			header.Set(checksum, sumOf(q.body))
		}
		return answer{200, header, nil}
	}
	return s.readS3(q)
}

func (s *Server) readS3(q *request) answer {
	o, ok := s.objects[q.key]
	if q.key == "" { // HEAD of the bucket
		return answer{200, http.Header{}, nil}
	}
	if !ok {
		return document(404, "<Error><Code>NoSuchKey</Code></Error>")
	}
	header := http.Header{"Etag": {etagOf(o.data)}, "Last-Modified": {o.modified.UTC().Format(http.TimeFormat)}, "Content-Length": {strconv.Itoa(len(o.data))}}
	if q.r.Header.Get("Range") == "" || q.call == Stat {
		return answer{200, header, o.data}
	}
	part, contentRange, ok := span(o.data, q.r.Header.Get("Range"))
	if !ok {
		return document(416, "<Error><Code>InvalidRange</Code></Error>")
	}
	header.Set("Content-Range", contentRange)
	header.Set("Content-Length", strconv.Itoa(len(part)))
	return answer{206, header, part}
}

func (s *Server) listS3(prefix, after, most string) answer {
	limit, _ := strconv.Atoi(most)
	out, last, n, truncated := "", "", 0, false
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		if n == limit {
			truncated = true
			break
		}
		n++
		last = key
		o := s.objects[key]
		out += fmt.Sprintf("<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size></Contents>",
			key, o.modified.UTC().Format("2006-01-02T15:04:05.000Z"), strings.Trim(etagOf(o.data), `"`), len(o.data))
	}
	if truncated {
		out += "<NextContinuationToken>" + last + "</NextContinuationToken>"
	}
	return document(200, fmt.Sprintf("<ListBucketResult><IsTruncated>%t</IsTruncated>%s</ListBucketResult>", truncated, out))
}
