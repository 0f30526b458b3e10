package mnist_test

import (
	"fmt"

	"vanilla/mnist"
)

// MNIST is in the package.
func Example() {
	data, err := mnist.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	set := data.Train
	fmt.Printf("%d images of %dx%d in %d classes, %d for testing\n", set.Len(), set.Rows, set.Cols, set.Classes, data.Test.Len())
	fmt.Println("the first one is a", set.Labels[0])
	for y := 4; y < set.Rows; y += 2 {
		for x := 6; x < 24; x++ {
			fmt.Print(string(".:#"[int(set.Image(0)[y*set.Cols+x])*3/256]))
		}
		fmt.Println()
	}
	// Output:
	// 60000 images of 28x28 in 10 classes, 10000 for testing
	// the first one is a 5
	// ..................
	// ....:::##########.
	// ..##########......
	// .....:#:..........
	// ......##..........
	// ........###:......
	// ..........:###....
	// .........:####....
	// .....:######......
	// .#######..........
	// ###::.............
	// ..................
}
