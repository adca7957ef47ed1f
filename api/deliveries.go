package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/inventory"
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

// principal is the service as policies see it: in no account, with no policies
// of its own.
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

// delivery is an object that a report is about to be delivered as.
type delivery struct {
	from, to meta.Bucket
	key      string
	byPolicy bool // see logging
}

// PermitInventory decides, before an object of an inventory is written, whether the
// target's settings still let it; an error says why not. It is for inventory.Config.
func (s *Server) PermitInventory(ctx context.Context, d inventory.Delivery) error {
	return s.mayDeliver(ctx, inventoryReporter, delivery{from: d.From, to: d.To, key: d.Key, byPolicy: d.ByPolicy})
}

// mayDeliver decides for each object of a report whether the target's policy
// lets the service write it. The policy can always deny. It has to allow only
// if the report was configured by a user without the right to write there. That
// right was checked when the configuration was put, and not again: users come
// and go, and reports belong to the owner.
func (s *Server) mayDeliver(ctx context.Context, service reporter, d delivery) error {
	f := &access.Bucket{Name: d.to.Name, Owner: access.ID(d.to.Owner), Account: accounts.Account(d.to.Owner)}
	settings, err := s.engine.Buckets().ReadableSettings(ctx, d.to)
	if err == nil {
		err = settings.Gone()
	}
	if err != nil {
		return err
	}
	if broken := s.readAccess(f, settings); len(broken) > 0 {
		return fmt.Errorf("%w: %q cannot be read", errNotDelivered, broken)
	}
	need := access.Need{Action: "s3:PutObject", Bucket: f, BucketName: f.Name, Key: d.key}
	decision := access.NewEvaluation(ctx, service.principal(), s.serviceContext(d.from)).Decide(need)
	if decision.Allow || !decision.Explicit && !d.byPolicy {
		return nil
	}
	return fmt.Errorf("%w: %s", errNotDelivered, decision.Reason)
}
