// Command build prints the path of the library that stands in for the NVIDIA driver,
// with the kernels of kernels/cuda: the value for VANILLA_LIBCUDA. It compiles it if
// that was not done before.
package main

import (
	"fmt"
	"os"

	"vanilla/internal/cuda/standin"
)

func main() {
	library, err := standin.Build("")
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(library)
}
