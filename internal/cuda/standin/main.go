package standin

import (
	"fmt"
	"os"
	"testing"
)

// The environment variables that say what tests run on.
const (
	libraryVariable = "VANILLA_LIBCUDA"
	requireVariable = "VANILLA_REQUIRE_GPU"
)

// RequireGPU is whether tests must run on a GPU: VANILLA_REQUIRE_GPU is 1.
func RequireGPU() bool { return os.Getenv(requireVariable) == "1" }

// Main is the TestMain of packages that use the driver. It runs the tests with the
// stand-in, which it builds if VANILLA_LIBCUDA does not name one; or, with VANILLA_REQUIRE_GPU=1, with the driver of this machine.
//
// go test does not see that the library comes from other files. It repeats results
// of runs before they changed, unless it is told -count=1.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if RequireGPU() || os.Getenv(libraryVariable) != "" {
		return m.Run()
	}
	library, err := Build("")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(libraryVariable, library); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
