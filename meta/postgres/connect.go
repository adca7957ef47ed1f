package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// minVersion is the oldest supported server, and the version that CockroachDB
	// reports.
	minVersion = 13
	// maxConnIdle is how long an unused connection is kept.
	maxConnIdle = 5 * time.Minute
	// maxConnLife is the longest use of a connection, so that gateways spread again
	// over hosts that came back.
	maxConnLife = 30 * time.Minute
	// applicationName is shown in the server's lists of sessions, unless the URL
	// sets another.
	applicationName = "sanctum-gateway"
)

// connect makes the pool and tests it.
// A wrong password or an unreachable host is therefore an error of the start.
func connect(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	config, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, oneLine(err)
	}
	if err := steadily(ctx, func() error { return try(ctx, pool, o) }); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// parse reads the URL. Its errors do not quote the URL: a supposed port may be the
// end of a password.
func parse(dsn string, o Options) (*pgxpool.Config, error) {
	if strings.Contains(dsn, "://") {
		if _, err := url.Parse(withoutHosts(dsn)); err != nil {
			return nil, errURL
		}
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, parseError(err)
	}
	c := config.ConnConfig
	if o.ExecMode != "" {
		if c.DefaultQueryExecMode, err = execMode(o.ExecMode); err != nil {
			return nil, err
		}
	}
	config.MaxConns = int32(min(o.MaxConnections, 1<<20))
	config.MaxConnIdleTime = maxConnIdle
	config.MaxConnLifetime = maxConnLife
	config.MaxConnLifetimeJitter = maxConnLife / 4
	c.ConnectTimeout = o.ConnectTimeout
	// A standby shows an older state, and takes no writes.
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = applicationName
	}
	return config, nil
}

var errURL = errors.New("the URL is malformed (want postgres://user:password@host:port/database, with %-escapes in the password)")

// withoutHosts replaces the list of hosts, because net/url accepts only one.
func withoutHosts(dsn string) string {
	scheme, rest, _ := strings.Cut(dsn, "://")
	authority, path, _ := strings.Cut(rest, "/")
	user, _, found := strings.Cut(authority, "@")
	if !found {
		return scheme + "://host/" + path
	}
	return scheme + "://" + user + "@host/" + path
}

// parseError keeps the text of a parse error about a setting, such as an unreadable
// certificate. It hides errors about the URL itself.
func parseError(err error) error {
	cause := errors.Unwrap(err)
	var syntax *url.Error
	var number *strconv.NumError
	if cause == nil || errors.As(err, &syntax) || errors.As(err, &number) || strings.Contains(err.Error(), "failed to parse as") {
		return errURL
	}
	return fmt.Errorf("the URL's settings: %w", oneLine(cause))
}

func execMode(name string) (pgx.QueryExecMode, error) {
	for _, m := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		if strings.ReplaceAll(m.String(), " ", "_") == name {
			return m, nil
		}
	}
	return 0, fmt.Errorf("exec mode %q is not one of: %s, %s, %s, %s, %s", name,
		ModeCacheStatement, ModeCacheDescribe, ModeDescribeExec, ModeExec, ModeSimple)
}

// try makes one connection and checks whether the database is reliable.
// A server that does not flush its commits is refused, because a commit that was told of must
// survive a crash.
func try(ctx context.Context, pool *pgxpool.Pool, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, o.AcquireTimeout)
	defer cancel()
	c, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	version := c.Conn().PgConn().ParameterStatus("server_version")
	digits, _, _ := strings.Cut(version, ".")
	digits, _, _ = strings.Cut(digits, " ")
	if major, err := strconv.Atoi(strings.TrimRight(digits, "abcdelrtv")); err != nil || major < minVersion {
		return fmt.Errorf("the server is PostgreSQL %.20q; version %d or later is needed", version, minVersion)
	}
	var flush string
	if err := c.QueryRow(ctx, "SHOW synchronous_commit").Scan(&flush); err != nil {
		return err
	}
	if flush == "off" {
		return errors.New("synchronous_commit is off for this user or database: commits would not be durable")
	}
	return nil
}

// line is an error with its text on one line. Unwrap returns the original.
type line struct {
	text string
	err  error
}

func (l line) Error() string { return l.text }
func (l line) Unwrap() error { return l.err }

// Errors of pgx have several lines for several hosts, which logs would break up.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return line{strings.Join(strings.Fields(err.Error()), " "), err}
}
