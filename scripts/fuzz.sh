#!/usr/bin/env bash
# fuzz.sh TIME: run every fuzz target of the module for TIME, one after another.
# A failing input is kept by Go under the package's testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}

# One line for each target: the package and the target's name.
targets() {
	go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' ./... |
		while read -r package dir; do
			{ grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go || true; } |
				while read -r _ name; do echo "$package $name"; done
		done
}

all=$(targets)
while read -r package name; do
	[[ -n $package ]] || continue
	echo "== $package $name"
	go test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" </dev/null
done <<<"$all"
