package quality

import "fmt"

// Layer is a hidden layer's activation.
type Layer struct {
	// Name is what the network's program calls it: h1 for the first hidden layer of a
	// chain.
	Name string `json:"name"`
	// Layer numbers the network's layers as figures do: 2 for the first hidden layer,
	// 0 if the activation is of no dense layer.
	Layer int `json:"layer,omitempty"`
	Units int `json:"units"`
	// Dead are the units that do nothing, from 0.
	Dead []int `json:"dead"`
}

// DeadRange is by how much a unit may change and still be called dead. What trained
// units leave is of order one, and where a sigmoid changes by less than that over all
// images its slope is below a thousandth, as is what it can still learn.
const DeadRange = 1e-3

// NewLayer finds the units that are dead: what leaves them is about the same for
// every example. low and high are the least and the largest that left each.
func NewLayer(name string, layer int, low, high []float32) Layer {
	l := Layer{Name: name, Layer: layer, Units: len(low), Dead: []int{}}
	for u := range low {
		if high[u]-low[u] <= DeadRange {
			l.Dead = append(l.Dead, u)
		}
	}
	return l
}

// Title is what people call the layer.
func (l Layer) Title() string {
	if l.Layer == 0 {
		return l.Name
	}
	return fmt.Sprintf("layer %d", l.Layer)
}

// Dead counts the units of layers that are dead, and all units.
func Dead(layers []Layer) (dead, units int) {
	for _, l := range layers {
		dead, units = dead+len(l.Dead), units+l.Units
	}
	return dead, units
}
