//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const balancersGroup = "balancers"

// Lanes of the group: the way to one gateway.
const (
	directLane  = "the gateway"
	haproxyLane = "behind HAProxy"
	nginxLane   = "behind nginx"
)

const refusedUploadRow = "PUT 1 MiB, refused before its body"

// balancers is what it costs to refuse an upload behind the balancers' configurations
// that come with the product: an SDK that waits for 100 Continue learns of it before it
// sends the body, and goes on with its next one.
func (b *bench) balancers() group {
	stock := stock{}
	r := row{name: refusedUploadRow, unit: milliseconds, clients: 1, size: medium}
	refuse := each(func(c *client) request {
		sdk := c.sdk()
		return func(ctx context.Context, _ int64) error { return refusedUpload(ctx, sdk, stock[medium]) }
	})
	return group{balancersGroup, [2]string{haproxyLane, directLane}, []work{{row: r, lanes: refuse}}, func(ctx context.Context, dir string) ([]*server, error) {
		gateway, err := b.startGateway(ctx, directLane, filepath.Join(dir, ours))
		if err != nil {
			return nil, err
		}
		list := []*server{gateway}
		fail := func(err error) ([]*server, error) { return nil, errors.Join(err, closeAll(list)) }
		host := strings.TrimPrefix(gateway.base, "http://")
		haproxy, err := servers.StartHAProxy(ctx, dir, []servers.Balanced{{S3: host, Metrics: strings.TrimSuffix(strings.TrimPrefix(gateway.metrics, "http://"), "/metrics")}})
		if err != nil {
			return fail(err)
		}
		list = append([]*server{{name: haproxyLane, Process: haproxy.Process, client: newClient(haproxy.URL, gateway.access, gateway.secret, nil)}}, list...)
		folder := filepath.Join(dir, "nginx")
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fail(err)
		}
		nginx, err := servers.StartNginx(ctx, folder, []string{host})
		if err != nil {
			return fail(err)
		}
		list = append([]*server{{name: nginxLane, Process: nginx.Process, client: newClient(nginx.URL, gateway.access, gateway.secret, nil)}}, list...)
		if stock[medium], err = newPayload(dir, "payload", medium); err != nil {
			return fail(err)
		}
		for _, c := range list {
			err := c.Ready(ctx, func(ctx context.Context) error { _, err := c.list(ctx, "/"); return err })
			if err != nil {
				return fail(err)
			}
		}
		if err := errors.Join(gateway.createBucket(ctx, refusing), gateway.put(ctx, "/"+refusing+"/"+thereAlready, stock[medium], unsigned)); err != nil {
			return fail(err)
		}
		return list, nil
	}}
}

// refusing is the bucket, and thereAlready the object that is not to be replaced.
const (
	refusing     = "refusing"
	thereAlready = "there"
)

// sdk is a client as programs have them, which announces each body and waits for 100
// Continue.
func (c *client) sdk() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(c.base), Region: region, UsePathStyle: true, ContinueHeaderThresholdBytes: 1,
		Credentials: credentials.NewStaticCredentialsProvider(c.access, c.secret, ""), HTTPClient: waiting{c.http},
	})
}

// waiting has net/http wait for 100 Continue, which it does for requests that say which
// HTTP they are of, as this SDK's do not.
type waiting struct{ client *http.Client }

func (w waiting) Do(r *http.Request) (*http.Response, error) {
	r.ProtoMajor, r.ProtoMinor = 1, 1
	return w.client.Do(r)
}

// refusedUpload uploads a payload as an object that is there and must not be.
func refusedUpload(ctx context.Context, sdk *s3.Client, p *payload) error {
	_, err := sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(refusing), Key: aws.String(thereAlready), Body: bytes.NewReader(p.data), IfNoneMatch: aws.String("*")})
	if answer, ok := errors.AsType[smithy.APIError](err); ok && answer.ErrorCode() == "PreconditionFailed" {
		return nil
	}
	return fmt.Errorf("a PUT that must not replace: %w", err)
}

func (r *report) judgeBalancers() {
	row := r.row(balancersGroup, refusedUploadRow)
	if row == nil {
		return
	}
	// nginx answers Expect by itself, so that behind it the body is sent.
	r.atMost(refusedUploadRow+", "+haproxyLane+", of its time without", row.lane(haproxyLane).Latency/row.lane(directLane).Latency, floorBalanced)
}
