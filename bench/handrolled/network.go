// Package handrolled is the network of the lesson as one writes it by hand: layers of sigmoid units in plain loops, the
// chain rule worked out on paper, no graph and no library. It is the baseline that other programs are compared with, in
// speed and in result, so it shares no code with them and is neither tuned nor held back.
package handrolled

import (
	"math"
	"slices"
)

// Network classifies images. Layer l turns the activations a of the layer below into those of its own units:
//
//	z = W a + b,    a' = σ(z) = 1 / (1 + e^-z)
//
// The last layer leaves out σ. Its z are the logits, and their softmax the probabilities of the classes.
//
// A Network works in buffers of its own: it is not for use by several goroutines at once.
type Network struct {
	Widths  []int       // units per layer: 784, 16, 16, 10
	Weights [][]float32 // Weights[l] is [Widths[l+1], Widths[l]] row-major: one row for each unit
	Biases  [][]float32 // Biases[l] is [Widths[l+1]]

	activations [][]float32 // activations[0] is the image, the last are the logits
	deltas      [][]float32 // deltas[l] is [Widths[l+1]]: how the loss changes with z of layer l

	dWeights [][]float32 // the gradient, summed over the samples of a batch
	dBiases  [][]float32
}

// New returns a network whose weights and biases are zero, for the caller to set. Widths lists the pixels of an image, the
// units of each hidden layer, and the classes.
func New(widths []int) *Network {
	n := &Network{Widths: slices.Clone(widths)}
	n.activations = append(n.activations, make([]float32, widths[0]))
	for l, out := range widths[1:] {
		in := widths[l]
		n.Weights = append(n.Weights, make([]float32, out*in))
		n.Biases = append(n.Biases, make([]float32, out))
		n.activations = append(n.activations, make([]float32, out))
		n.deltas = append(n.deltas, make([]float32, out))
		n.dWeights = append(n.dWeights, make([]float32, out*in))
		n.dBiases = append(n.dBiases, make([]float32, out))
	}
	return n
}

// Epoch trains on every sample of order once, in batches of batchSize, the last of which may be shorter. Batch i of the
// epoch, counted from 0, takes a step of lr(i). The result is the mean loss over the batches, each as it was when
// its turn came. Pixels, labels and order are as in Step.
func (n *Network) Epoch(pixels, labels []byte, order []int, batchSize int, lr func(step int) float32, weightDecay float32) float64 {
	var loss float64
	step := 0
	for batch := range slices.Chunk(order, batchSize) {
		loss += float64(n.Step(pixels, labels, batch, lr(step), weightDecay))
		step++
	}
	return loss / float64(step)
}

// Step takes one step of stochastic gradient descent on a batch, which lists the indices of its samples, at least one, in
// a data set of pixels [N, Widths[0]] and labels [N]:
//
//	W -= lr * (dW + weightDecay*W)
//	b -= lr * db
//
// where dW and db are the gradient of the mean loss of the batch. It returns that mean loss as it was before the step.
func (n *Network) Step(pixels, labels []byte, batch []int, lr, weightDecay float32) float32 {
	for l := range n.Weights {
		clear(n.dWeights[l])
		clear(n.dBiases[l])
	}
	var loss float32
	for _, sample := range batch {
		n.forward(n.image(pixels, sample))
		loss += n.lossAndDelta(labels[sample])
		n.backward()
	}
	size := float32(len(batch))
	for l, weights := range n.Weights {
		for i, dW := range n.dWeights[l] {
			weights[i] -= lr * (dW/size + weightDecay*weights[i])
		}
		for o, db := range n.dBiases[l] {
			n.Biases[l][o] -= lr * (db / size)
		}
	}
	return loss / size
}

// forward fills in the activations of all layers, from the image up.
func (n *Network) forward(image []byte) {
	for i, pixel := range image {
		n.activations[0][i] = float32(pixel) / 255
	}
	for l, weights := range n.Weights {
		in, out := n.activations[l], n.activations[l+1]
		for o := range out {
			z := n.Biases[l][o]
			for i, w := range row(weights, o, len(in)) {
				z += w * in[i]
			}
			out[o] = z
		}
		if l < len(n.Weights)-1 {
			for o, z := range out {
				out[o] = sigmoid(z)
			}
		}
	}
}

// lossAndDelta returns the cross-entropy of the sample that went forward, -log p[label] where p = softmax(z), and sets
// the last delta to its derivative with respect to z, which comes out as p - 1 for the label and p for every other class.
func (n *Network) lossAndDelta(label byte) float32 {
	logits, delta := n.activations[len(n.activations)-1], n.deltas[len(n.deltas)-1]
	largest := slices.Max(logits) // taking it off changes nothing in p, and keeps exp from overflowing
	var sum float32
	for o, z := range logits {
		delta[o] = exp(z - largest)
		sum += delta[o]
	}
	for o := range delta {
		delta[o] /= sum
	}
	delta[label]--
	return largest - logits[label] + float32(math.Log(float64(sum)))
}

// backward carries the last delta down through the layers and adds this sample's share to the gradient. By the chain rule
//
//	dW = δ aᵀ,    db = δ,    δ of the layer below = (Wᵀ δ) · σ'(z), where σ'(z) = a (1 - a)
func (n *Network) backward() {
	for l := len(n.Weights) - 1; l >= 0; l-- {
		in, delta := n.activations[l], n.deltas[l]
		for o, d := range delta {
			n.dBiases[l][o] += d
			dRow := row(n.dWeights[l], o, len(in))
			for i, a := range in {
				dRow[i] += d * a
			}
		}
		if l == 0 {
			return // nobody asks how to change the image
		}
		below := n.deltas[l-1]
		clear(below)
		for o, d := range delta {
			for i, w := range row(n.Weights[l], o, len(in)) {
				below[i] += d * w
			}
		}
		for i, a := range in {
			below[i] *= a * (1 - a)
		}
	}
}

// Predict returns the likeliest class of an image, the lowest of them if several are.
func (n *Network) Predict(image []byte) int {
	n.forward(image)
	class, logits := 0, n.activations[len(n.activations)-1]
	for o, z := range logits {
		if z > logits[class] {
			class = o
		}
	}
	return class
}

// Accuracy is the fraction, 0..1, of the images that Predict gets right.
func (n *Network) Accuracy(pixels, labels []byte) float64 {
	right := 0
	for i, label := range labels {
		if n.Predict(n.image(pixels, i)) == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// image is sample i of pixels [N, Widths[0]].
func (n *Network) image(pixels []byte, i int) []byte {
	return pixels[i*n.Widths[0] : (i+1)*n.Widths[0]]
}

// row is row o of a matrix with so many columns.
func row(matrix []float32, o, columns int) []float32 {
	return matrix[o*columns : (o+1)*columns]
}

func sigmoid(z float32) float32 { return 1 / (1 + exp(-z)) }

func exp(z float32) float32 { return float32(math.Exp(float64(z))) }
