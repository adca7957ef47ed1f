//go:build !linux

package fs

import "os"

func preallocate(*os.File, int64) error { return nil }

func startWriteback(*os.File, int64, int64) {}

func adviseSequential(*os.File, int64, int64) {}

func freeRoom(*os.File) (room, error) { return room{}, nil }
