//go:build tools

// Package tools pins what the testbed builds; it is never compiled itself.
package tools

import _ "github.com/fsouza/fake-gcs-server"
