//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
)

// diskName is the lane of the disk itself, and diskFolder where it writes.
const (
	diskName   = "synced 4 KiB files, by the disk itself"
	diskFolder = "disk"
)

// diskFiles makes the names of files unique.
var diskFiles atomic.Int64

// diskLane is what the file system does at best: a new file of 4 KiB, flushed,
// and its folder flushed, as a durable PUT must at least.
func (b *bench) diskLane() lane {
	dir := filepath.Join(b.dir, diskFolder)
	data := make([]byte, small)
	return lane{name: diskName, do: func(context.Context, int64) error {
		return writeSynced(dir, filepath.Join(dir, strconv.FormatInt(diskFiles.Add(1), 10)), data)
	}}
}

func writeSynced(dir, name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
