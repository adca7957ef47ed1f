//go:build linux

// Command run starts a whole topology on this machine for a person to try, and
// ends it at Ctrl-C. It keeps everything in a folder that is removed at the end.
// It is for trying and never for data that matters.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sanctum-storage/gateway/internal/topology"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "topology:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	gateways := flag.Int("gateways", topology.DefaultGateways, "how many gateways")
	postgres := flag.String("postgres", "", "version of PostgreSQL: 15 or 18; empty: 15")
	redis := flag.Bool("redis", false, "start Redis as well, which no gateway uses yet")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	dir, err := os.MkdirTemp("", "sanctum-topology-")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "starting; data and logs are in %s until the end\n", dir)
	t, err := topology.Start(ctx, topology.Options{Dir: dir, Gateways: *gateways, Postgres: *postgres, Redis: *redis, Durable: true})
	if err != nil {
		return fmt.Errorf("%w\nlogs are in %s", err, dir)
	}
	describe(t)
	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "ending")
	return errors.Join(t.Close(), os.RemoveAll(dir))
}

// describe prints what a person needs to use it.
func describe(t *topology.Topology) {
	fmt.Printf(`
S3, through the balancer   %s
`, t.URL)
	for i, g := range t.Gateways {
		fmt.Printf("gateway %d                  %s   metrics %s/metrics   admin %s\n", i+1, g.URL, g.Metrics, g.AdminURL)
	}
	if t.Redis != nil {
		fmt.Printf("Redis                      %s\n", t.Redis.Address)
	}
	fmt.Printf(`PostgreSQL                 %[2]s
storage (sealed bytes)     %[3]s
balancer's metrics         %[4]s

  export AWS_ACCESS_KEY_ID=%[5]s AWS_SECRET_ACCESS_KEY=%[6]s AWS_DEFAULT_REGION=%[7]s
  aws --endpoint-url %[1]s s3 mb s3://first-bucket
  aws --endpoint-url %[1]s s3 cp README.md s3://first-bucket/
  aws --endpoint-url %[1]s s3 ls s3://first-bucket

Ctrl-C ends everything and removes the data.
`, t.URL, t.StoreURL(), t.S3.Endpoint, t.Balancer.MetricsURL, t.AccessKey, t.SecretKey, topology.Region)
}
