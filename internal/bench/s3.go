//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

const (
	// streams is how many large bodies are under way in the rows that say so.
	streams         = 4
	putLargeMoreRow = putLargeRow + ", 4 streams"
	getLargeMoreRow = getLargeRow + ", 4 streams"
	// blobBucket is where the gateway keeps sealed blobs.
	blobBucket = "blobs"
)

// s3 is the gateway in front of an S3 server, beside that same server without
// the gateway.
func (b *bench) s3() group {
	s := stock{}
	rows := append(s.largeRows(), s.ranges(), s.put(putSmallRow, small, smallClients, false), s.get(getSmallRow, small, smallClients))
	return group{s3Group, [2]string{overS3, directS3}, rows, func(ctx context.Context, dir string) ([]*server, error) {
		folder, err := rivalFolder(dir)
		if err != nil {
			return nil, err
		}
		direct, err := startRival(ctx, directS3, folder)
		if err != nil {
			return nil, err
		}
		pair, err := b.startBefore(ctx, direct, overS3, dir)
		if err != nil {
			return nil, err
		}
		return b.supply(ctx, pair, s, dir, small, large)
	}}
}

// s3TLS is the same over TLS, where what the gateway sends to the server need
// not be signed piece by piece.
func (b *bench) s3TLS() group {
	s := stock{}
	return group{s3TLSGroup, [2]string{overTLS, directTLS}, s.largeRows(), func(ctx context.Context, dir string) ([]*server, error) {
		folder, err := rivalFolder(dir)
		if err != nil {
			return nil, err
		}
		direct, caFile, err := startRivalTLS(ctx, directTLS, folder, dir)
		if err != nil {
			return nil, err
		}
		pair, err := b.startBefore(ctx, direct, overTLS, dir, backendSetting+"CA_FILE="+caFile)
		if err != nil {
			return nil, err
		}
		return b.supply(ctx, pair, s, dir, large)
	}}
}

// largeRows is large bodies, one and several at a time.
func (s stock) largeRows() []work {
	return []work{
		s.put(putLargeRow, large, 1, false),
		s.put(putLargeMoreRow, large, streams, false),
		s.get(getLargeRow, large, 1),
		s.get(getLargeMoreRow, large, streams),
	}
}

func rivalFolder(dir string) (string, error) {
	folder := filepath.Join(dir, rival)
	return folder, os.Mkdir(folder, 0o755)
}

// backendSetting begins the variables of the backend.
const backendSetting = "SANCTUM_BACKENDS_MAIN_"

// startBefore starts the gateway in front of a server, which it closes when that
// fails.
func (b *bench) startBefore(ctx context.Context, direct *server, name, dir string, settings ...string) ([]*server, error) {
	if err := direct.createBucket(ctx, blobBucket); err != nil {
		return nil, errors.Join(err, direct.close())
	}
	g, err := b.startGateway(ctx, name, filepath.Join(dir, ours), append(settings,
		backendSetting+"TYPE=s3", backendSetting+"ENDPOINT="+direct.base, backendSetting+"BUCKET="+blobBucket,
		backendSetting+"ACCESS_KEY="+direct.access, backendSetting+"SECRET_KEY="+direct.secret)...)
	if err != nil {
		return nil, errors.Join(err, direct.close())
	}
	return []*server{g, direct}, nil
}
