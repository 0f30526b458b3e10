package cpu

import (
	"runtime"
	"slices"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// variety is networks of so many kinds, some of each, with every optimizer.
func variety(t *testing.T, kinds, each int) []kernels.Variant {
	var variants []kernels.Variant
	for k := range kinds {
		p := chain(t, ir.Sigmoid, ir.Xent, 40, 3+k, 10)
		o, err := kernels.NewOptimizer(kernels.OptimizerNames()[k%len(kernels.OptimizerNames())])
		if err != nil {
			t.Fatal(err)
		}
		for i := range each {
			v := variant(p, 8, 0.01)
			v.Optimizer, v.Seed, v.OrderSeed = o, uint64(100*k+i), uint64(i)
			variants = append(variants, v)
		}
	}
	return variants
}

// TestNetworksShareMachines: networks that take turns on machines train as each
// would on its own, however often and in whatever order they rest.
func TestNetworksShareMachines(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		d := data(40, 10, 40, mixedData)
		variants := variety(t, 3, 4)
		machines := &pool{data: func() *encodedData { return encodeData(d, r) }, routines: r}
		var networks []*network
		var alone []*machine
		for _, v := range variants {
			n, err := newNetwork(v, machines)
			if err != nil {
				t.Fatal(err)
			}
			s := v.InitialState()
			if err := n.SetParams(s.Params, s.Slots); err != nil {
				t.Fatal(err)
			}
			networks, alone = append(networks, n), append(alone, prepare(t, v, d, r))
		}
		rows := func(i, step int) []int32 {
			from := 8 * ((i + step) % 4)
			return numbers(from + 8)[from:]
		}
		for step := range 12 {
			for i, n := range networks {
				want, err := alone[i].Step(rows(i, step), rows(i, step+1), 0.1, step)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := n.Step(rows(i, step), rows(i, step+1), 0.1, step); err != nil || got != want {
					t.Fatalf("step %d of network %d: loss %v, %v, want %v", step, i, got, err, want)
				}
				if (i+step)%3 != 0 { // some stay awake for a while
					n.Rest()
				}
			}
		}
		for i, n := range networks {
			got, err := n.Forward(make([]float32, 40))
			if err != nil {
				t.Fatal(err)
			}
			want, err := alone[i].Forward(make([]float32, 40))
			if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("network %d: forward %v, %v, want %v", i, got, err, want)
			}
			params, slots := n.Params()
			wantParams, wantSlots := alone[i].Params()
			if !slices.EqualFunc(slices.Concat(params, slots), slices.Concat(wantParams, wantSlots), slices.Equal) {
				t.Errorf("network %d is not what it is alone", i)
			}
			if n.machine != nil {
				t.Errorf("network %d keeps a machine", i)
			}
		}
		if len(machines.idle) > len(variants) {
			t.Errorf("%d machines for %d networks", len(machines.idle), len(variants))
		}
	})
}

// TestMachinesInFlight: there are as many machines as networks run at once, of
// each kind, and not more than wait at most.
func TestMachinesInFlight(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	d := data(40, 10, 40, mixedData)
	for _, c := range []struct{ kinds, each, want int }{{1, 50, 1}, {3, 10, 3}, {idleMachines + 9, 1, idleMachines}} {
		made := &pool{data: func() *encodedData { return encodeData(d, &portable) }, routines: &portable}
		population, err := kernels.NewHost(d, variety(t, c.kinds, c.each), func(v kernels.Variant, _ *kernels.Data) (kernels.Machine, error) {
			return newNetwork(v, made)
		})
		if err != nil {
			t.Fatal(err)
		}
		until := slices.Repeat([]int{2}, c.kinds*c.each)
		for range 2 {
			if err := population.Advance(t.Context(), until, nil); err != nil {
				t.Fatal(err)
			}
			for i := range until {
				until[i] += 3
			}
		}
		if got := len(made.idle); got != c.want {
			t.Errorf("%d kinds of %d networks: %d machines, want %d", c.kinds, c.each, got, c.want)
		}
		if err := population.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
