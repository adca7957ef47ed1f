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

// reporter is the service as which reports are delivered, as policies name it.
// Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html
type reporter string

const (
	logReporter       reporter = access.LoggingService
	inventoryReporter reporter = access.InventoryService
)

func (service reporter) principal() *access.Principal {
	return &access.Principal{Kind: access.Service, Name: string(service)}
}

// serviceContext is what conditions may ask of the delivery of a report on a bucket. It
// comes from no address.
func (s *Server) serviceContext(from meta.Bucket) access.Context {
	now := s.now().UTC()
	return access.Context{
		"aws:currenttime": {now.Format(time.RFC3339)}, "aws:epochtime": {strconv.FormatInt(now.Unix(), 10)},
		"aws:securetransport": {"true"}, "aws:requestedregion": {s.region},
		"aws:sourcearn": {bucketARN + from.Name}, "aws:sourceaccount": {accounts.Account(from.Owner)},
	}
}

// errNotDelivered: what the target's settings say keeps a report away.
var errNotDelivered = errors.New("the target bucket's settings keep the report away")

// mayDeliver decides, each time that an object of a report is written, whether the
// target's policy lets the service: it may always deny, and has to allow where nobody
// with the right to write there configured the report. That right was asked for when
// the configuration was put: users come and go, and reports are the owner's.
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
