#!/usr/bin/env bash
# The metadata store's tests against real etcd servers, which they start, pause and kill themselves: a current one (the lab
# builds it once) and, where it is installed, the distribution's own (Debian: package etcd-server, 3.4).
#
#   test/stores/run-etcd.sh [current|system|all]       AUTOMQ_ETCD="BINARY…" takes these instead
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${AUTOMQ_OUT:-dist}
[ -f "$out/test/stores/etcd.test.js" ] || { echo "$out has no tests of etcd: build first (make build)" >&2; exit 2; }

current() { node -e 'import(process.argv[1]).then((lab) => console.log(lab.etcdProgram("current")))' "$PWD/$out/test/lab/etcd.js"; }

case ${1:-all} in
  current) : "${AUTOMQ_ETCD:=$(current)}" ;;
  system) : "${AUTOMQ_ETCD:=$(command -v etcd)}" ;;
  all) : "${AUTOMQ_ETCD:=$(current) $(command -v etcd || true)}" ;;
  *) echo "unknown: $1 (current, system, all)" >&2; exit 2 ;;
esac
export AUTOMQ_ETCD
for binary in $AUTOMQ_ETCD; do echo "$("$binary" --version | head -1) ($binary)"; done
exec node --test "$out/test/stores/etcd.test.js"
