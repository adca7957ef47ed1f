package main

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// seedStore is the part of the store that needsOf reads.
type seedStore interface {
	Deployment(ctx context.Context) (meta.Deployment, error)
	ScanSeeds(ctx context.Context, after meta.SeedPosition, limit int) ([]meta.BucketSeed, error)
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
}

// needsOf names the seeds whose wraps a function picks.
func needsOf(ctx context.Context, store seedStore, picks func(wrapped []byte) bool) (needs []string, err error) {
	d, err := store.Deployment(ctx)
	if err != nil {
		return nil, err
	}
	if picks(d.Seed) {
		needs = append(needs, "the system's seed")
	}
	found := map[meta.ID]bool{}
	var at meta.SeedPosition
	for {
		page, err := store.ScanSeeds(ctx, at, meta.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			if picks(s.Wrapped) {
				found[s.Bucket] = true
			}
			at = meta.SeedPosition{Bucket: s.Bucket, Generation: s.Generation}
		}
		if len(page) < meta.MaxPage {
			break
		}
	}
	named, err := namesOf(ctx, store, found)
	return append(needs, named...), err
}

// namesOf names buckets, in the order of their names, and those after them that are being
// deleted.
func namesOf(ctx context.Context, store seedStore, found map[meta.ID]bool) (names []string, err error) {
	for after := ""; len(found) > 0; {
		page, err := store.ListBuckets(ctx, meta.BucketQuery{After: after, Limit: meta.MaxPage})
		if err != nil {
			return nil, err
		}
		for _, b := range page {
			if after = b.Name; found[b.ID] {
				names = append(names, "bucket "+b.Name)
				delete(found, b.ID)
			}
		}
		if len(page) < meta.MaxPage {
			break
		}
	}
	if len(found) > 0 {
		names = append(names, fmt.Sprintf("%d buckets that are being deleted", len(found)))
	}
	return names, nil
}

// wrapped reports whether this key file's key wrapped a seed. Bytes that say nothing of a
// key are no reason to keep one: no key opens them.
func (k *KeyProviderSettings) wrapped(wrapped []byte, key string) bool {
	if !encrypt.IsEnvelope(wrapped) {
		return (k.Name == "" || k.bare) && keyIDIs(wrapped, key)
	}
	slots, err := encrypt.OpenEnvelope(wrapped)
	if err != nil {
		return false
	}
	for _, s := range slots {
		if s.Provider == k.Name && keyIDIs(s.Wrapped, key) {
			return true
		}
	}
	return false
}
