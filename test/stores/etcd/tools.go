//go:build tools

// Package tools pins the etcd server that the tests of the metadata store run against.
package tools

import _ "go.etcd.io/etcd/server/v3"
