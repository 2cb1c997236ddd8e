#!/usr/bin/env bash
# The contract suites of the stores against real servers on loopback: versitygw, MinIO, a current etcd, and Debian's etcd 3.4
# where it is installed. The servers are built the first time (minutes) and kept in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
servers=(versitygw minio etcd)
command -v etcd >/dev/null && servers+=(etcd-debian)
mapfile -t files < <(find io test -name '*.test.ts' 2>/dev/null | xargs -r grep -lE "AUTOMQ_TEST_(S3|ETCD)" | sort | sed 's|^|dist/|; s|\.ts$|.js|')
((${#files[@]} > 0)) || { echo 'no test reads AUTOMQ_TEST_S3 or AUTOMQ_TEST_ETCD' >&2; exit 1; }
exec node dist/test/lab/with-servers.js "${servers[@]}" -- node --test --test-concurrency=1 "${files[@]}"
