package admin

import (
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/sanctum-storage/gateway/s3err"
)

// Routes lets the tests check that they have every route.
func (s *Server) Routes() chi.Routes { return s.router }

// Row is the part of the table about a route's answers.
type Row struct {
	Name    string // method and path
	Status  int
	Answers any
	Codes   []s3err.Code // of the row itself
}

// Rows returns the rows of the table.
func Rows() (all []Row) {
	for _, rt := range table {
		r := Row{Name: rt.method + " /v1" + rt.path, Status: rt.status, Answers: rt.answers}
		for _, f := range rt.faults {
			r.Codes = append(r.Codes, f.code)
		}
		all = append(all, r)
	}
	return all
}

// Everywhere returns the codes that any call may answer with.
func Everywhere() (codes []s3err.Code) {
	for _, f := range everywhere {
		codes = append(codes, f.code)
	}
	return codes
}

// RowOf returns the row of the route that a request reaches; nil: none.
func RowOf(method string, u *url.URL) *Row {
	c := chi.NewRouteContext()
	if !New(Config{}).router.Match(c, method, u.EscapedPath()) {
		return nil
	}
	for _, r := range Rows() {
		if r.Name == method+" "+c.RoutePattern() {
			return &r
		}
	}
	return nil
}
