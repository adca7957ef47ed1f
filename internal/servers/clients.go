//go:build linux

package servers

// S3 clients in Go that are programs of their own. MC is under the AGPL: a
// program to test with, never a part of ours.
var (
	MC         = GoProgram{Package: "github.com/minio/mc", Version: "v0.0.0-20250313080218-cf909e1063a9"}
	Litestream = GoProgram{Package: "github.com/benbjohnson/litestream/cmd/litestream", Version: "v0.5.18"}
	Tusd       = GoProgram{Package: "github.com/tus/tusd/v2/cmd/tusd", Version: "v2.9.1"}
	Registry   = GoProgram{Package: distribution + "/cmd/registry", Version: "v3.1.2"}
	// RegistryDriver is the tests that the registry's developers have of its S3 driver.
	RegistryDriver = GoProgram{Package: distribution + "/registry/storage/driver/s3-aws", Version: "v3.1.2", Module: distribution, Tests: true}
	// VictoriaMetrics with the two programs that move its backups.
	VictoriaMetrics = GoProgram{Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", Version: "v1.148.9"}
	VMBackup        = GoProgram{Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/vmbackup", Version: "v1.148.9"}
	VMRestore       = GoProgram{Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/vmrestore", Version: "v1.148.9"}
	// Rclone is that of make conformance too. It and OpenTofu take many minutes to build.
	Rclone   = GoProgram{Package: "github.com/rclone/rclone", Version: "v1.76.0"}
	OpenTofu = GoProgram{Package: "github.com/opentofu/opentofu/cmd/tofu", Version: "v1.12.6", Module: "github.com/opentofu/opentofu"}
)

const distribution = "github.com/distribution/distribution/v3"
