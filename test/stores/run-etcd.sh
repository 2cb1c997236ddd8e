#!/usr/bin/env bash
# Runs the metadata store's tests against real etcd servers: 3.6 (built from the Go module pinned in etcd/go.mod, once,
# into the lab folder) and, where it is installed, the distribution's own (Debian: package etcd-server, 3.4).
#
#   test/stores/run-etcd.sh [current|system|all]
#
# AUTOMQ_LAB: where built binaries lie (default: lab under the temporary folder). AUTOMQ_OUT: the build's output (default: dist).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
lab=${AUTOMQ_LAB:-${TMPDIR:-/tmp}/lab}
out=${AUTOMQ_OUT:-$root/dist}
kind=${1:-all}
test_file=$out/test/stores/etcd.test.js
[ -f "$test_file" ] || { echo "$test_file is not there: build first (make build), or set AUTOMQ_OUT" >&2; exit 2; }

build_current() {
  local binary=$lab/bin/etcd-current
  if [ ! -x "$binary" ]; then
    command -v go >/dev/null || { echo "Go is needed to build etcd (or put a binary at $binary)" >&2; exit 2; }
    mkdir -p "$lab/bin"
    (cd "$here/etcd" && CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '-s -w' -o "$binary.$$" go.etcd.io/etcd/server/v3 && mv "$binary.$$" "$binary") >&2
  fi
  echo "$binary"
}

run() {
  echo "== $("$1" --version | head -1) ($1)"
  AUTOMQ_ETCD=$1 node --test "$test_file"
}

case $kind in
  current) run "$(build_current)" ;;
  system) run "$(command -v etcd)" ;;
  all)
    run "$(build_current)"
    if command -v etcd >/dev/null; then run "$(command -v etcd)"; else echo "== no etcd is installed on this machine: only the pinned version was tested"; fi
    ;;
  *) echo "unknown: $kind (current, system, all)" >&2; exit 2 ;;
esac
