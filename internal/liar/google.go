package liar

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func understandGoogle(r *http.Request, body []byte) *request {
	q := &request{google: true, body: body, r: r}
	_, name, _ := strings.Cut(r.URL.EscapedPath(), "/o/")
	q.key, _ = url.PathUnescape(name)
	switch {
	case r.Method == http.MethodPost:
		q.call = Put
		q.key, q.body = upload(r, body)
	case r.Method == http.MethodDelete:
		q.call = Delete
	case q.key == "":
		q.call = List
	case r.URL.Query().Get("alt") == "media":
		q.call = Get
	default:
		q.call = Stat
	}
	return q
}

// upload takes name and bytes out of a multipart body.
func upload(r *http.Request, body []byte) (name string, data []byte) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var doc struct{ Name string }
	if meta, err := parts.NextPart(); err == nil {
		_ = json.NewDecoder(meta).Decode(&doc) // a name that is not there is found out by the test
	}
	if content, err := parts.NextPart(); err == nil {
		data, _ = io.ReadAll(content)
	}
	return doc.Name, data
}

func sumOf(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))))
}

func (s *Server) google(q *request) answer {
	o, ok := s.objects[q.key]
	say := func(status int, text string) answer {
		return answer{status, http.Header{"Content-Type": {"application/json"}}, []byte(text)}
	}
	missing := say(404, `{"error":{"message":"No such object","errors":[{"reason":"notFound"}]}}`)
	switch q.call {
	case List:
		return say(200, s.listGoogle(q.r.URL.Query()))
	case Put:
		if ok {
			return say(412, `{"error":{"message":"there"}}`)
		}
		s.objects[q.key] = object{q.body, time.Now()}
		return say(200, fmt.Sprintf(`{"size":"%d","crc32c":%q,"generation":"1"}`, len(q.body), sumOf(q.body)))
	case Delete:
		if delete(s.objects, q.key); !ok {
			return missing
		}
		return answer{204, nil, nil}
	case Stat:
		if !ok {
			return missing
		}
		return say(200, item(q.key, o))
	}
	if !ok {
		return missing
	}
	header := http.Header{"X-Goog-Hash": {"crc32c=" + sumOf(o.data)}, "Content-Length": {strconv.Itoa(len(o.data))}}
	if q.r.Header.Get("Range") == "" {
		return answer{200, header, o.data}
	}
	part, contentRange, ok := span(o.data, q.r.Header.Get("Range"))
	header.Set("Content-Range", contentRange)
	header.Set("Content-Length", strconv.Itoa(len(part)))
	if !ok {
		return answer{416, header, nil}
	}
	return answer{206, header, part}
}

func item(name string, o object) string {
	return fmt.Sprintf(`{"name":%q,"size":"%d","timeCreated":%q}`, name, len(o.data), o.modified.UTC().Format(time.RFC3339))
}

func (s *Server) listGoogle(query url.Values) string {
	limit, _ := strconv.Atoi(query.Get("maxResults"))
	var items []string
	last := ""
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(name, query.Get("prefix")) || name < query.Get("startOffset") || name <= query.Get("pageToken") {
			continue
		}
		if len(items) == limit {
			return fmt.Sprintf(`{"items":[%s],"nextPageToken":%q}`, strings.Join(items, ","), last)
		}
		last = name
		items = append(items, item(name, s.objects[name]))
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}
