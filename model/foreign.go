package model

import "bytes"

// torchRecipe is how a file of PyTorch's own becomes one that can be read.
const torchRecipe = `: in Python, safetensors.torch.save_file(torch.load("model.pt", weights_only=True), "model.safetensors") converts a state_dict`

// foreigners are files that people take for safetensors: what they begin with, and what to say.
var foreigners = []struct{ magic, found string }{
	{"PK\x03\x04", "a zip archive, as PyTorch's torch.save writes (.pt, .pth)" + torchRecipe},
	{"\x80\x02", "a Python pickle, as old versions of PyTorch's torch.save write" + torchRecipe},
	{"\x80\x04", "a Python pickle" + torchRecipe},
	{"\x80\x05", "a Python pickle" + torchRecipe},
	{"\x89HDF", "an HDF5 file, as Keras writes: save its layers' transposed kernels and biases with safetensors.numpy.save_file"},
	{"version https://git-lfs", "a Git LFS pointer: git lfs pull fetches the file that it stands for"},
}

// foreign says which other format data have, or "". A pickle may begin as the length of a safetensors header does, but no
// brace follows there.
func foreign(data []byte) string {
	if len(data) > prefixBytes && data[prefixBytes] == '{' {
		return ""
	}
	for _, f := range foreigners {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return f.found
		}
	}
	return ""
}
