//go:build linux

package servers

// Helm renders charts; it is no server. It takes a minute or two to build.
var Helm = GoProgram{Package: "helm.sh/helm/v3/cmd/helm", Version: "v3.21.4"}
