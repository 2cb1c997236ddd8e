#!/usr/bin/env bash
# The stores against real servers on loopback: S3 (versitygw, MinIO) with the contract and the kill -9 loop, then etcd (a current
# one, and the distribution's where it is installed). The servers are built the first time (minutes) and kept in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export AUTOMQ_TEST_KILLS=${AUTOMQ_TEST_KILLS:-20}
mapfile -t files < <(find io test -name '*.test.ts' | xargs -r grep -l AUTOMQ_TEST_S3 | sort | sed 's|^|dist/|; s|\.ts$|.js|')
((${#files[@]} > 0)) || { echo 'no test reads AUTOMQ_TEST_S3' >&2; exit 1; }
failed=0
node dist/test/lab/with-servers.js versitygw minio -- node --test --test-concurrency=1 "${files[@]}" || failed=1
test/stores/run-etcd.sh all || failed=1
exit $failed
