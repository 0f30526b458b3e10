//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"testing"

	"vanilla/internal/cuda/standin"
)

func TestMain(m *testing.M) { standin.Main(m) }
