package engine

import (
	"context"
)

// Finding is a fsck.Finding, and Findings are those of fsck.Run. Tests of this package
// cannot import that, which imports the engine; the harness sets Findings.
type Finding struct{ Kind, Bucket, Key, Version, Upload, Detail string }

var Findings func(context.Context, *Engine) ([]Finding, error)
