package cuda

import (
	"fmt"
	"os"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/samples"
)

func TestZZ(t *testing.T) {
	for _, s := range samples.All() {
		if s.Name != os.Getenv("ZZ") {
			continue
		}
		n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(n.Program)
		l, err := makePlan(planKey{n.Program, trainJob, 3, 0, 10000, 0})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range l.ops {
			fmt.Println(i, l.texts[i])
			if o.Code > 12 {
				tt := l.tensors[o.Tensor]
				fmt.Printf("   %+v\n", tt)
				end := len(l.views)
				if int(o.Tensor)+1 < len(l.tensors) {
					end = int(l.tensors[o.Tensor+1].View)
				}
				for _, v := range l.views[tt.View:end] {
					fmt.Printf("      %+v\n", v)
				}
				for _, v := range l.instructions[tt.Instruction : tt.Instruction+tt.Instructions] {
					fmt.Printf("      %+v\n", v)
				}
			} else {
				fmt.Printf("   %+v\n", o)
			}
		}
		fmt.Printf("%+v\n", l.params)
		for _, r := range l.rooms {
			fmt.Printf("%s %d %v %+v\n", r.what, r.floats, r.lives, *r.operand)
		}
	}
}
