//go:build linux

// Install puts the servers and clients that are built from Go source where the
// tests look for them, so that no test waits for a compiler. Its arguments are
// their names.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/sanctum-storage/gateway/internal/servers"
)

func main() {
	for _, p := range []servers.GoProgram{servers.Versitygw, servers.FakeGCS, servers.Helm, servers.MinIO, servers.MC, servers.Litestream,
		servers.Tusd, servers.Registry, servers.RegistryDriver, servers.LocalKMS, servers.VictoriaMetrics, servers.VMBackup, servers.VMRestore, servers.Rclone,
		servers.OpenTofu} {
		if !slices.Contains(os.Args[1:], p.Name()) {
			continue
		}
		if _, err := p.Path(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
