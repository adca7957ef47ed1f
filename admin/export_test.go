package admin

import "github.com/go-chi/chi/v5"

// Routes lets the tests prove that they know every route.
func (s *Server) Routes() chi.Routes { return s.router }
