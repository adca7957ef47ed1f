package strictpg

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// session is one client and its connection to the server.
type session struct {
	p      *Proxy
	client net.Conn
	server net.Conn
	from   *pgproto3.Backend  // reads what the client sends
	back   *pgproto3.Frontend // reads what the server answers

	statements map[string]string // prepared, by name
	portals    map[string]string // bound, by name
}

// trip is what a client sends up to the point where it waits.
type trip struct {
	head   []byte // messages before COMMIT, or all
	tail   []byte // the messages that execute COMMIT, and what follows
	simple bool
	commit bool
	ends   bool // the client says goodbye
	why    string
	text   string // what is refused
}

// all is the whole trip. Of a simple query, the tail is all and the head what
// comes before COMMIT.
func (t trip) all() []byte {
	if t.simple && t.commit {
		return t.tail
	}
	return slices.Concat(t.head, t.tail)
}

// startupParameters are what a client may say of itself when it connects.
var startupParameters = []string{"user", "database", "application_name", "client_encoding"}

func (p *Proxy) session(client net.Conn) {
	if !p.track(client) {
		return
	}
	defer p.drop(client, false)
	server, err := net.Dial("tcp", p.upstream)
	if err != nil || !p.track(server) {
		return
	}
	defer p.drop(server, false)
	s := &session{
		p: p, client: client, server: server,
		from: pgproto3.NewBackend(client, client), back: pgproto3.NewFrontend(server, server),
		statements: make(map[string]string), portals: make(map[string]string),
	}
	if !s.startup() {
		return
	}
	for s.round() {
	}
}

// startup relays up to the server's first ReadyForQuery. The server must let the
// user in without a password.
func (s *session) startup() bool {
	for {
		m, err := s.from.ReceiveStartupMessage()
		if err != nil {
			return false
		}
		raw, err := m.Encode(nil)
		if err != nil {
			return false
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := s.client.Write([]byte("N")); err != nil {
				return false
			}
			continue
		case *pgproto3.StartupMessage:
			for name := range m.Parameters {
				if !slices.Contains(startupParameters, name) {
					return s.refused("startup parameter", name)
				}
			}
		case *pgproto3.CancelRequest:
			_, _ = s.server.Write(raw) // the server answers by closing
			return false
		}
		if _, err := s.server.Write(raw); err != nil {
			return false
		}
		answer, _, err := s.answer()
		if err == nil {
			_, err = s.client.Write(answer)
		}
		return err == nil
	}
}

// round relays one round trip, or makes a fault of it.
func (s *session) round() bool {
	t, err := s.receive()
	if err != nil || t.ends {
		return false
	}
	if t.why != "" {
		return s.refused(t.why, t.text)
	}
	switch fault := s.p.draw(t.commit); fault {
	case "":
		return s.relay(t)
	case Serialization:
		return s.abort(t)
	default:
		s.cut(t, fault)
		return false
	}
}

// relay sends all to the server and its answer back.
func (s *session) relay(t trip) bool {
	answer, err := s.ask(t.all())
	if err == nil {
		_, err = s.client.Write(answer)
	}
	return err == nil
}

func (s *session) ask(messages []byte) (answer []byte, err error) {
	if _, err := s.server.Write(messages); err != nil {
		return nil, err
	}
	answer, _, err = s.answer()
	return answer, err
}

// abort lets everything happen but the COMMIT, which the server refuses.
func (s *session) abort(t trip) bool {
	var answer []byte
	if len(t.head) > 0 {
		messages := t.head
		if !t.simple {
			messages = encode(messages, &pgproto3.Sync{})
		}
		var ready int
		var err error
		if _, err = s.server.Write(messages); err != nil {
			return false
		}
		if answer, ready, err = s.answer(); err != nil {
			return false
		}
		if failed := answer[len(answer)-1] != 'T'; failed { // so would COMMIT not have been reached
			_, err := s.client.Write(answer)
			return err == nil
		}
		answer = answer[:ready]
	}
	if _, err := s.ask(encode(nil, &pgproto3.Query{String: "rollback"})); err != nil {
		return false
	}
	answer = encode(answer, &pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "40001", Message: "restart transaction: made up by a test",
	})
	answer = encode(answer, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	_, err := s.client.Write(answer)
	return err == nil
}

// cut resets the client's connection; what reaches the server, and when, is the
// fault's.
func (s *session) cut(t trip, fault Fault) {
	all := t.all()
	switch fault {
	case BeforeCommit:
		s.p.drop(s.client, true)
	case AfterCommit:
		_, _ = s.ask(all) // whatever comes of it
		s.p.drop(s.client, true)
	case LateCommit:
		s.p.drop(s.client, true)
		time.Sleep(s.p.delay())
		_, _ = s.ask(all)
	case HalfCommit:
		if t.simple || len(t.head) == 0 {
			s.p.drop(s.client, true)
			return
		}
		_, _ = s.server.Write(encode(slices.Clone(t.head), &pgproto3.Flush{}))
		time.Sleep(s.p.delay() / 4)
		s.p.drop(s.client, true)
		time.Sleep(s.p.delay())
		_, _ = s.ask(t.tail)
	case Between:
		if s.p.coin() {
			_, _ = s.ask(all)
		}
		s.p.drop(s.client, true)
	}
}

// refused records the statement, says so to the client, and ends the session.
func (s *session) refused(why, text string) bool {
	s.p.refuse(why, text)
	_, _ = s.client.Write(encode(nil, &pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "0A000", Message: fmt.Sprintf("refused: %s: %.60s", why, text),
	}))
	return false
}

// answer reads up to ReadyForQuery; ready is where that begins.
func (s *session) answer() (answer []byte, ready int, err error) {
	for {
		m, err := s.back.Receive()
		if err != nil {
			return nil, 0, err
		}
		ready = len(answer)
		if answer, err = m.Encode(answer); err != nil {
			return nil, 0, err
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return answer, ready, nil
		}
		if e, ok := m.(*pgproto3.ErrorResponse); ok && e.Severity == "FATAL" {
			return answer, len(answer), nil
		}
	}
}

// receive reads what the client sends before it waits for an answer.
func (s *session) receive() (t trip, err error) {
	for {
		m, err := s.from.Receive()
		if err != nil {
			return t, err
		}
		ready := false
		switch m := m.(type) {
		case *pgproto3.Terminate:
			t.ends = true
			return t, nil
		case *pgproto3.Query:
			t.simpleQuery(m.String)
			return t, nil
		case *pgproto3.Parse:
			s.statements[m.Name] = m.Query
			t.check(m.Query)
			if m.Name != "" && !s.p.options.Named {
				t.why, t.text = "prepared statement with a name", m.Query
			}
		case *pgproto3.Bind:
			s.portals[m.DestinationPortal] = s.statements[m.PreparedStatement]
			t.commit = t.commit || isCommit(s.portals[m.DestinationPortal])
		case *pgproto3.Execute, *pgproto3.Describe, *pgproto3.Close:
		case *pgproto3.Sync:
			ready = true
		default:
			t.why, t.text = "message", fmt.Sprintf("%T", m)
		}
		if t.commit {
			t.tail = encode(t.tail, m)
		} else {
			t.head = encode(t.head, m)
		}
		if ready {
			return t, nil
		}
	}
}

func (t *trip) check(statement string) {
	if why := refusal(statement); why != "" {
		t.why, t.text = why, statement
	}
}

// simpleQuery takes a query of one or several statements, of which COMMIT can
// only be the last.
func (t *trip) simpleQuery(query string) {
	t.simple = true
	statements := split(query)
	for _, s := range statements {
		t.check(s)
	}
	n := len(statements)
	if n == 0 || !isCommit(statements[n-1]) {
		t.head = encode(nil, &pgproto3.Query{String: query})
		return
	}
	t.commit = true
	if n > 1 {
		t.head = encode(nil, &pgproto3.Query{String: strings.Join(statements[:n-1], ";")})
	}
	t.tail = encode(nil, &pgproto3.Query{String: query})
}

func encode(b []byte, m pgproto3.Message) []byte {
	b, err := m.Encode(b)
	if err != nil {
		panic(err) // a message that the package itself has read or made
	}
	return b
}
