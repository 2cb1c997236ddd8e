#!/usr/bin/env bash
# Runs test files on the other Node versions that we support: scripts/test-nodes.sh dist/…/a.test.js …
# The npm package `node` brings them. Its install script must run, and where it did not, the old Node would be started silently:
# hence the look at process.version.
set -euo pipefail
failed=0
for major in ${NODES:-22 24}; do
  binary=$(npx -y --ignore-scripts=false --loglevel=error "node@$major" -e 'console.log(process.execPath)')
  version=$("$binary" -p process.version)
  case $version in
    "v$major".*) echo "Node $version" ;;
    *)
      echo "wanted Node $major and got $version: npm did not run the install script of its package" >&2
      exit 1
      ;;
  esac
  PATH=$(dirname "$binary"):$PATH "$binary" --test "$@" || failed=1
done
exit $failed
