package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// reporter is a service that delivers reports, by the name that policies use.
// Sources:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html
type reporter string

const (
	logReporter       reporter = access.LoggingService
	inventoryReporter reporter = access.InventoryService
)

func (service reporter) principal() *access.Principal {
	return &access.Principal{Kind: access.Service, Name: string(service)}
}

// serviceContext returns the condition keys of a delivery of a report on a
// bucket. There is no source address.
func (s *Server) serviceContext(from meta.Bucket) access.Context {
	now := s.now().UTC()
	return access.Context{
		"aws:currenttime": {now.Format(time.RFC3339)}, "aws:epochtime": {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {"true"}, "aws:requestedregion": {s.region},
		"aws:sourcearn": {bucketARN + from.Name}, "aws:sourceaccount": {accounts.Account(from.Owner)},
	}
}

// errNotDelivered: the target bucket's settings forbid the report.
var errNotDelivered = errors.New("the target bucket's settings do not allow the report")

// mayDeliver decides for each object of a report whether the target's policy
// lets the service write it. The policy can always deny. It has to allow only
// if the report was configured by a user without the right to write there. That
// right was checked when the configuration was put, and not again: users come
// and go, and reports belong to the owner.
func (s *Server) mayDeliver(ctx context.Context, service reporter, d engine.Delivery) error {
	f := &access.Bucket{Name: d.To.Name, Owner: access.ID(d.To.Owner), Account: accounts.Account(d.To.Owner)}
	settings, err := s.engine.ReadableSettings(ctx, d.To)
	if err != nil {
		return err
	}
	if broken := s.readAccess(f, settings); len(broken) > 0 {
		return fmt.Errorf("%w: %q cannot be read", errNotDelivered, broken)
	}
	need := access.Need{Action: "s3:PutObject", Bucket: f, BucketName: f.Name, Key: d.Key}
	decision := access.NewEvaluation(ctx, service.principal(), s.serviceContext(d.From)).Decide(need)
	if decision.Allow || !decision.Explicit && !d.ByPolicy {
		return nil
	}
	return fmt.Errorf("%w: %s", errNotDelivered, decision.Reason)
}
