package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/workers"
)

// serveCommand runs the server.
func serveCommand() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve S3",
		Long: `Serve S3 until SIGTERM or SIGINT.

Without configuration, data is kept in ./sanctum-data, S3 is at 127.0.0.1:9000,
the admin API at 127.0.0.1:9001, metrics and health at 127.0.0.1:9002. The first
start creates a key file and a root credential. It prints the credential once if it has
a terminal, and otherwise leaves it in DATA/root-credential, mode 0600.

SIGHUP reads certificates and the log level again. SIGTERM makes /readyz fail, refuses
new requests after shutdown.delay, gives running requests shutdown.timeout to finish,
and exits with status 0. A second SIGTERM cuts them short.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (*configuration, error) {
				c, err := loadConfig(cmd, environment())
				if err == nil {
					err = c.checkListeners()
				}
				return c, err
			}
			c, err := load()
			if err != nil {
				return usage(err)
			}
			s := &process{
				configuration: c, reread: load, stdout: cmd.OutOrStdout(), metrics: newMetrics(), acceptStore: accept,
			}
			s.level.Set(c.LogLevel)
			// Losing the reader of the log must not end requests.
			signal.Ignore(syscall.SIGPIPE)
			var lines *logQueue
			s.log, lines = newQueuedLogger(cmd.ErrOrStderr(), c.LogFormat, &s.level)
			defer lines.close(logFlush)
			s.metrics.watchLog(lines.dropped)
			s.ready = &readiness{log: s.log}
			return s.run(cmd.Context())
		},
	}
	addSettingFlags(cmd, forServe)
	cmd.Flags().BoolVar(&accept, "accept-restored-store", false,
		"accept a store that was restored from an older copy on purpose; the later one is refused from then on "+
			"(no setting, because it is for one start)")
	return cmd
}

// process is one run of serve.
type process struct {
	*configuration
	acceptStore bool
	reread      func() (*configuration, error)
	stdout      io.Writer
	log         *slog.Logger
	level       slog.LevelVar
	metrics     *metrics
	ready       *readiness
	certs       *certificates

	listeners          *listeners
	api                *api.Server
	s3, admin, metricz *http.Server
	adminGate          gate
	failed             chan error // receives the error of a listener that ended by itself
}

// run starts everything, waits for a signal, and ends everything in the reverse
// order.
func (p *process) run(ctx context.Context) (err error) {
	// All created files are for this user only, those of the store included.
	syscall.Umask(0o077)
	defer holdHeap()()
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	// Buffered, because a signal that nobody takes at once would be lost.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	if p.certs, err = newCertificates(p.configuration); err != nil {
		return usage(err)
	}
	// The addresses are bound before the deployment is opened: one that is
	// taken ends the start before anything was changed.
	if p.listeners, err = bindListeners(p.configuration); err != nil {
		return failed(err)
	}
	defer p.listeners.close()
	// Opening can take long, for example during a migration, and a signal must
	// end it.
	openCtx, opened := opening(ctx, signals)
	d, err := openDeployment(openCtx, p.configuration, p.log, p.acceptStore)
	if opened() {
		p.log.Info("ended by a signal before it served")
		if err == nil {
			err = d.close()
		} else if errors.Is(err, context.Canceled) {
			err = nil
		}
		return failed(err)
	}
	if err != nil {
		return failed(err)
	}
	defer func() { err = failed(errors.Join(err, d.close())) }()
	if p.acceptStore {
		p.log.Warn("the store is accepted as it is")
	}
	p.metrics.watchBackends(d.guards)
	p.metrics.watchKeys(d.keys.logins, d.keys.calls)
	p.metrics.watchHealth(d.engine.Blobs().BackendHealth)
	p.metrics.watchDamage(d.engine, d.backends)
	p.metrics.watchRevocations(d.engine.Revocations().List)
	// Before any listener answers: a first request finds the credential and the
	// buckets.
	if err := p.prepare(ctx, d); err != nil {
		return err
	}
	p.start(d)
	running := p.startWorkers(ctx, d)
	// Deferred calls run in reverse: the workers stop, the last logs are
	// delivered, and then the engine is closed.
	defer p.lastLogs(ctx)
	defer running.Stop()
	watched := make(chan struct{})
	go func() { defer close(watched); p.certs.watch(ctx, p.log) }()
	defer func() { cut(); <-watched }()

	// The listeners answer already. Up to here /readyz tells that the process
	// is starting.
	p.ready.begin(d.engine.Checks(), d.engine.Blobs().BackendHealth)
	p.notify("READY=1")
	err = p.wait(signals)
	p.stop(ctx, signals)
	return failed(err)
}

// startWorkers starts the background steps. p.api exists already: lifecycle and
// inventory steps tell it what they did and ask it for permission.
func (p *process) startWorkers(ctx context.Context, d *deployment) *workers.Workers {
	return workers.Start(ctx, workers.Config{
		Engine:          d.engine,
		Keys:            d.engine,
		Blobs:           d.engine.Blobs(),
		Resealing:       reseal.New(reseal.Config{Engine: d.engine, Log: p.log}),
		Rewrapping:      rewrap.New(rewrap.Config{Engine: d.engine, Log: p.log}),
		Rotation:        rotate.New(rotate.Config{Engine: d.engine, Log: p.log}),
		Lifecycles:      lifecycle.New(lifecycle.Config{Engine: d.engine, Store: d.store, Log: p.log, Tell: p.api.LogLifecycle}),
		Inventories:     inventory.New(inventory.Config{Engine: d.engine, Store: d.store, Permit: p.api.PermitInventory}),
		CollectInterval: p.CollectorInterval, LifecycleInterval: p.LifecycleInterval, LifecycleRate: p.LifecycleRate,
		DeliverLogs: func(ctx context.Context) (int, int, error) { return p.deliverLogs(ctx, false) }, Log: p.log, Observe: p.metrics,
	})
}

// prepare creates the root credential and the buckets of the settings.
func (p *process) prepare(ctx context.Context, d *deployment) error {
	if p.AccessKey != "" {
		// A configured credential is not stored, so removing it from the
		// settings revokes it.
		if err := d.engine.Accounts().SetRootCredential(p.AccessKey, p.SecretKey); err != nil {
			return usage(fmt.Errorf("access_key and secret_key: %s", s3err.From(err).Message))
		}
	} else {
		cred, created, err := d.engine.Accounts().EnsureRootCredential(ctx)
		if err != nil {
			return failed(fmt.Errorf("root credential: %w", err))
		}
		if created {
			if err := p.reveal(cred); err != nil {
				// Nobody has seen the secret. The next start generates another
				// one.
				return failed(errors.Join(fmt.Errorf("the generated root credential could not be shown: %w", err),
					d.engine.Accounts().DeleteAccessKey(ctx, cred.AccessKey)))
			}
		}
	}
	for _, name := range p.Buckets {
		b, err := d.engine.Buckets().Create(ctx, name, "", d.engine.Accounts().Root().ID)
		if err == nil {
			err = api.SetOwnership(ctx, d.engine, b, access.Ownership(p.S3ObjectOwnership))
		}
		switch {
		// The setting asks only that the bucket exists, whoever owns it.
		case err == nil, errors.Is(err, s3err.BucketAlreadyOwnedByYou), errors.Is(err, s3err.BucketAlreadyExists):
		case errors.Is(err, s3err.ServiceUnavailable): // the backend that it would be placed on is away
			p.log.Warn("a bucket of the settings cannot be created now; the next start tries again", "bucket", name, "error", err)
		default:
			return failed(fmt.Errorf("bucket %q cannot be created: %w", name, err))
		}
	}
	return nil
}

// s3URL is the URL of the S3 listener, for the log and the first commands.
func (p *process) s3URL() string {
	return endpoint(p.listeners.s3, p.hasTLS(), p.TLSACMEDomains)
}

// start answers requests on all listeners from now on.
func (p *process) start(d *deployment) {
	region, regions, anyRegion := p.regions()
	p.api = api.New(api.Config{
		Engine: d.engine,
		IAM: &iam.Handler{
			Accounts: d.engine.Accounts(), Keys: iam.NewKeys(iam.KeysOptions{AllowPrivate: p.STSAllowPrivateProviders}),
		},
		Region: region, Regions: regions, AnyRegion: anyRegion,
		SignatureV2: p.signatureV2(), Ownership: access.Ownership(p.S3ObjectOwnership),
		Domains: p.S3Domains, Websites: p.S3WebsiteDomains, BlockPublicAccess: p.S3BlockPublicAccess, Proxies: p.S3Proxies,
		Log: p.log, Observe: p.metrics.Request,
		Limits: api.Limits{
			Concurrent: p.LimitsRequests, Idle: p.LimitsStallTimeout, Pause: p.LimitsPauseTimeout, Store: p.LimitsStoreTimeout,
			Turns: max(1, p.StoreMaxConnections/turnShare), Backends: p.concurrencies(),
		},
	})
	p.s3 = newServer(p.configuration, p.metrics.inFlight.wrap(p.api), p.log)
	operator := admin.New(admin.Config{Engine: d.engine, Region: region, Log: p.log})
	p.admin = newServer(p.configuration, p.adminGate.wrap(patiently(p.LimitsStoreTimeout, operator)), p.log)
	p.metricz = newServer(p.configuration, operatorHandler(p.metrics, p.ready), p.log)
	p.metricz.ReadTimeout, p.metricz.WriteTimeout = operatorTimeout, operatorTimeout

	// A place for each listener, so that none waits when nobody reads any more.
	p.failed = make(chan error, 3)
	begin := func(name string, s *http.Server, l net.Listener, encrypted bool) {
		conf := p.certs.config()
		if !encrypted {
			conf = nil
		}
		go func() {
			if err := serve(s, l, conf, p.TLSHTTP2); err != nil {
				p.failed <- fmt.Errorf("%s listener: %w", name, err)
			}
		}()
	}
	begin("s3", p.s3, p.listeners.s3, true)
	begin("admin", p.admin, p.listeners.admin, p.AdminTLS)
	begin("metrics", p.metricz, p.listeners.metrics, false)
	p.log.Info("serving", "s3", p.s3URL(), "admin", endpoint(p.listeners.admin, p.AdminTLS, p.TLSACMEDomains),
		"metrics", endpoint(p.listeners.metrics, false, nil), "data", p.Data, "signature_v2", p.S3SignatureV2, "version", version)
}

// wait returns when the process must end: nil after a signal, otherwise the
// error of a listener.
func (p *process) wait(signals <-chan os.Signal) error {
	for {
		select {
		case err := <-p.failed:
			return err
		case s := <-signals:
			if s != syscall.SIGHUP {
				p.log.Info("ending", "signal", s.String())
				return nil
			}
			p.reload()
		}
	}
}

// reload applies settings that may change at run time: certificates and the log
// level. If they are wrong, the old ones stay in force. All other settings need
// a restart.
func (p *process) reload() {
	if err := p.certs.reload(); err != nil {
		p.log.Warn("the certificate cannot be reloaded; the old one stays", "error", err)
	}
	c, err := p.reread()
	if err != nil {
		p.log.Warn("the configuration cannot be reloaded", "error", err)
		return
	}
	p.level.Set(c.LogLevel)
	p.log.Info("reloaded", "log_level", c.LogLevel)
}

// stop ends the listeners. First /readyz fails, then S3 and admin finish their
// requests, and metrics ends last. Another signal cuts the wait short.
func (p *process) stop(ctx context.Context, signals <-chan os.Signal) {
	p.ready.drain()
	p.notify("STOPPING=1")
	p.linger(signals)
	ctx, cancel := context.WithTimeout(ctx, p.ShutdownTimeout)
	defer cancel()
	drained := make(chan bool, 2)
	for _, s := range []*http.Server{p.s3, p.admin} {
		go func() { drained <- shutdown(ctx, s) }()
	}
	clean := true
	for left := 2; left > 0; {
		select {
		case ok := <-drained:
			clean = clean && ok
			left--
		case s := <-signals:
			if s != syscall.SIGHUP {
				cancel()
			}
		}
	}
	p.metricz.Close()
	if !clean {
		p.log.Warn("requests were cut short")
		// Handlers may still run although their connections were cut, and the engine
		// must not be closed under them.
		p.metrics.inFlight.settle()
		p.adminGate.settle()
	}
	p.log.Info("ended")
}

// lastLogTimeout bounds the wait for the last server access logs at the end.
const lastLogTimeout = 10 * time.Second

// deliverLogs delivers the server access logs that are due, or all of them.
func (p *process) deliverLogs(ctx context.Context, all bool) (delivered, dropped int, err error) {
	r, err := p.api.DeliverLogs(ctx, all)
	return r.Delivered, r.Dropped, err
}

// lastLogs delivers the remaining records when no request is served any more.
// Records that cannot be delivered are lost.
func (p *process) lastLogs(ctx context.Context) {
	// The workers' context has ended by now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLogTimeout)
	defer cancel()
	if _, _, err := p.deliverLogs(ctx, true); err != nil {
		p.log.Warn("records of requests were lost", "error", err)
	}
}

// linger continues to serve while /readyz fails. So a load balancer sends new
// connections elsewhere before they are refused. Another signal to end cuts it
// short.
func (p *process) linger(signals <-chan os.Signal) {
	noticed := time.After(p.ShutdownDelay)
	for {
		select {
		case <-noticed:
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				return
			}
		}
	}
}

// notify tells the service manager of a state. A failure is logged only,
// because serving does not depend on it.
func (p *process) notify(state string) {
	if err := notifySystemd(state); err != nil {
		p.log.Warn("the service manager could not be told", "state", state, "error", err)
	}
}
