package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// metadata returns a header's metadata for an architecture, with some keys changed ("key=value") or taken out ("-key").
func metadata(arch string, edits ...string) string {
	keys := []string{"vanilla", "arch", "activation", "loss", "seed", "test_accuracy", "recipe"}
	values := map[string]string{
		"vanilla": "v1", "arch": arch, "activation": "tanh", "loss": "quadratic", "seed": "7", "test_accuracy": "0.5", "recipe": "{}",
	}
	for _, edit := range edits {
		if key, value, set := strings.Cut(edit, "="); set {
			if _, ok := values[key]; !ok {
				keys = append(keys, key)
			}
			values[key] = value
		} else {
			delete(values, edit[1:])
		}
	}
	var fields []string
	for _, key := range keys {
		if value, ok := values[key]; ok {
			fields = append(fields, fmt.Sprintf("%q:%q", key, value))
		}
	}
	return `"__metadata__":{` + strings.Join(fields, ",") + `}`
}

// tensor returns a header's entry.
func tensor(name, dtype, shape string, from, to uint64) string {
	return fmt.Sprintf("%q:"+`{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, from, to)
}

// file puts together a file of header entries and values.
func file(values int, entries ...string) []byte {
	return frame("{"+strings.Join(entries, ",")+"}", make([]float32, values)...)
}

func TestDecodeErrors(t *testing.T) {
	weight, bias := tensor("0.weight", "F32", "[1,2]", 4, 12), tensor("0.bias", "F32", "[1]", 0, 4)
	chain := metadata("2-1")
	good := file(3, weight, bias, chain)
	if _, err := Decode(good, "good"); err != nil {
		t.Fatalf("the file that the others differ from: %v", err)
	}
	scalar := tensor("s", "F32", "[]", 0, 4)
	ofGraph := metadata("", `order=["s"]`)
	if _, err := Decode(file(1, scalar, ofGraph), "good"); err != nil {
		t.Fatalf("the file that the others differ from: %v", err)
	}
	withMetadata := func(edit string) []byte { return file(3, weight, bias, metadata("2-1", edit)) }
	half := binary.LittleEndian.AppendUint16(frame("{"+tensor("0.weight", "F16", "[1,2]", 0, 4)+","+tensor("0.bias", "F16", "[1]", 4, 6)+","+chain+"}", 0), 0)

	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		// The frame.
		"empty":             {nil, `not a safetensors file: expected a header's length in the first 8 bytes, found 0 bytes in all`},
		"too short":         {good[:7], `found 7 bytes in all`},
		"zip":               {[]byte("PK\x03\x04\x14\x00\x08\x00\x08\x00\x00"), `not a safetensors file: found a zip archive, as PyTorch's torch.save writes (.pt, .pth): in Python, safetensors.torch.save_file(`},
		"pickle":            {[]byte("\x80\x02}q\x00X\x08\x00\x00\x00"), `found a Python pickle, as old versions`},
		"Git LFS":           {[]byte("version https://git-lfs.github.com/spec/v1\n"), `found a Git LFS pointer: git lfs pull fetches`},
		"checkpoint":        {frame(`{"__metadata__":{"vanilla_checkpoint":"{}"}}`), `this is the checkpoint of a training run, from which its run continues`},
		"largest length":    {bytes.Repeat([]byte{0xff}, 100), `found a length of 18446744073709551615`},
		"truncated header":  {good[:50], fmt.Sprintf(`not a safetensors file, or truncated: expected a header of %d bytes, found 42`, binary.LittleEndian.Uint64(good))},
		"no header":         {frame(""), `expected a header that is a JSON object, found ""`},
		"header is text":    {frame("hello"), `expected a header that is a JSON object, found "hello"`},
		"header is array":   {frame("[]"), `expected a header that is a JSON object, found "[]"`},
		"header broken":     {frame(`{"a":`), `not a safetensors file that vanilla can read: unexpected end of JSON input`},
		"header and more":   {frame(`{} {}`), `not a safetensors file that vanilla can read: invalid character '{' after top-level value`},
		"header null":       {frame(`null`), `expected a header that is a JSON object, found "null"`},
		"tensor null":       {file(0, `"a":null`), `invalid keys: expected 3 keys`},
		"rank too high":     {file(1, tensor("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4)), `not a safetensors file: expected shapes of at most 8 dimensions, found a longer array at byte 44 of the header`},
		"array in array":    {file(1, tensor("a", "F32", "[[1]]", 0, 4)), `not a safetensors file: expected a header of tensors and metadata, found deeper JSON at its byte 29`},
		"object in array":   {file(1, tensor("a", "F32", "[{}]", 0, 4)), `found deeper JSON at its byte 29`},
		"object too deep":   {file(1, `"a":{"b":{}}`), `found deeper JSON at its byte 10`},
		"array of metadata": {file(1, `"__metadata__":["a"]`), `not a safetensors file that vanilla can read`},
		"tensor is number":  {file(0, `"a":1`), `cannot unmarshal number`},
		"negative shape":    {file(1, tensor("a", "F32", "[-1]", 0, 4)), `expected array of natural numbers`},
		"fractional shape":  {file(1, tensor("a", "F32", "[1.5]", 0, 4)), `expected array of natural numbers`},
		"unknown dtype":     {file(1, tensor("a", "F8_E4M3", "[4]", 0, 4)), `not a safetensors file that vanilla can read: failed to JSON-decode tensor "a": invalid DType string value "F8_E4M3"`},
		"metadata number":   {file(0, `"__metadata__":{"arch":1}`), `expected string type`},
		"truncated values":  {good[:len(good)-5], `truncated: expected 12 bytes of values after the header, found 7`},
		"no values":         {file(0, weight, bias, chain), `truncated: expected 12 bytes of values after the header, found 0`},
		"bytes after":       {append(bytes.Clone(good), 0), `damaged: expected 12 bytes of values after the header, found 13`},
		"offsets overflow":  {file(1, tensor("a", "F32", "[1]", 0, 1<<64-1)), `truncated: expected 18446744073709551615 bytes`},
		"offsets backwards": {file(1, tensor("a", "F32", "[1]", 4, 0), tensor("b", "F32", "[1]", 0, 4)), `damaged: the header's tensors do not fit the file: invalid metadata offset for tensor "a"`},
		"offsets overlap":   {file(1, tensor("a", "F32", "[1]", 0, 4), tensor("b", "F32", "[1]", 0, 4)), `invalid metadata offset`},
		"offsets with gap":  {file(2, tensor("a", "F32", "[1]", 4, 8)), `invalid metadata offset for tensor "a"`},
		"shape overflow":    {file(1, tensor("a", "F32", "[4294967296,4294967296]", 0, 4)), `multiplication overflow`},
		"size overflow":     {file(0, tensor("a", "F32", "[4611686018427387904]", 0, 0)), `multiplication overflow`},
		"shape not offsets": {file(1, tensor("a", "F32", "[2]", 0, 4)), `info data offsets mismatch`},

		// The metadata.
		"empty object":     {file(0), `this safetensors file was not written by vanilla: its metadata has no "vanilla", "arch", "activation", "loss", "seed", "test_accuracy" and 1 more`},
		"foreign":          {file(3, weight, bias, `"__metadata__":{"format":"pt"}`), `this safetensors file was not written by vanilla: its metadata has no "vanilla", "arch"`},
		"no vanilla":       {withMetadata("-vanilla"), `its metadata has no "vanilla"`},
		"no arch":          {withMetadata("-arch"), `its metadata has no "arch"`},
		"no activation":    {withMetadata("-activation"), `its metadata has no "activation"`},
		"no loss":          {withMetadata("-loss"), `its metadata has no "loss"`},
		"no seed":          {withMetadata("-seed"), `its metadata has no "seed"`},
		"no test accuracy": {withMetadata("-test_accuracy"), `its metadata has no "test_accuracy"`},
		"no recipe":        {withMetadata("-recipe"), `its metadata has no "recipe"`},
		"seed":             {withMetadata("seed=-1"), `seed: expected a whole number below 2^64, found "-1"`},
		"accuracy text":    {withMetadata("test_accuracy=good"), `test accuracy: expected a fraction from 0 to 1, found "good"`},
		"accuracy percent": {withMetadata("test_accuracy=96"), `test accuracy: expected a fraction from 0 to 1, found 96`},
		"accuracy NaN":     {withMetadata("test_accuracy=NaN"), `test accuracy: expected a fraction from 0 to 1, found NaN`},
		"recipe empty":     {withMetadata("recipe="), `recipe: expected one JSON object, found ""`},
		"recipe broken":    {withMetadata("recipe={"), `recipe: expected one JSON object, found "{"`},
		"recipe array":     {withMetadata("recipe=[]"), `recipe: expected one JSON object, found "[]"`},
		"image text":       {withMetadata("image=big"), `image: expected rows and columns from 1 to 65536, as in 28x28, found "big"`},
		"image of zero":    {withMetadata("image=0x2"), `image: expected rows and columns from 1 to 65536, as in 28x28, found "0x2"`},
		"image and more":   {withMetadata("image=1x2x3"), `found "1x2x3"`},
		"image not inputs": {withMetadata("image=2x2"), `image: arch 2-1 has 2 inputs, an image of 2x2 has 4 pixels`},
		"arch broken":      {withMetadata("arch=2-one"), `arch "2-one": expected whole numbers from 1 to 65536 joined by "-"`},
		"no order":         {file(1, scalar, metadata("")), `order: expected a JSON array of the tensors' names (arch is empty), found ""`},
		"order broken":     {file(1, scalar, metadata("", "order=s")), `order: expected a JSON array of the tensors' names (arch is empty), found "s"`},
		"order twice":      {file(1, scalar, metadata("", `order=["s","s"]`)), `order: expected each of the 1 tensors once, found 2 names`},

		// The tensors.
		"tensor missing":      {file(2, tensor("0.weight", "F32", "[1,2]", 0, 8), chain), `the tensors do not fit arch 2-1: missing "0.bias"`},
		"tensor surplus":      {file(4, weight, bias, tensor("2.weight", "F32", "[1,1]", 12, 16), chain), `the tensors do not fit arch 2-1: not expected "2.weight"`},
		"other names":         {file(3, tensor("fc.bias", "F32", "[1]", 0, 4), tensor("fc.weight", "F32", "[1,2]", 4, 12), chain), `the tensors do not fit arch 2-1: missing "0.weight", "0.bias"; not expected "fc.bias", "fc.weight"`},
		"other arch":          {withMetadata("arch=2-1-1-1-1"), `missing "2.weight", "2.bias", "4.weight", "4.bias", "6.weight", "6.bias"`},
		"order misses":        {file(2, scalar, tensor("u", "F32", "[1]", 4, 8), ofGraph), `the tensors do not fit the metadata's order: not expected "u"`},
		"order surplus":       {file(1, scalar, metadata("", `order=["s","u"]`)), `the tensors do not fit the metadata's order: missing "u"`},
		"no tensors":          {file(0, metadata("", "order=[]")), `expected parameters, found none`},
		"tensor without name": {file(1, tensor("", "F32", "[1]", 0, 4), metadata("", `order=[""]`)), `parameter 0: expected a name`},
		"half":                {half, `tensor "0.weight": expected dtype F32, found F16`},
		"double":              {file(2, tensor("s", "F64", "[]", 0, 8), ofGraph), `tensor "s": expected dtype F32, found F64`},
		"transposed":          {file(3, tensor("0.weight", "F32", "[2,1]", 4, 12), bias, chain), `tensor 0.weight: expected shape [1 2] for arch 2-1, found [2 1]`},
		"flat":                {file(3, tensor("0.weight", "F32", "[2]", 4, 12), bias, chain), `tensor 0.weight: expected shape [1 2] for arch 2-1, found [2]`},
		"bias of rank 2":      {file(3, weight, tensor("0.bias", "F32", "[1,1]", 0, 4), chain), `tensor 0.bias: expected shape [1] for arch 2-1, found [1 1]`},
		"empty dimension":     {file(0, tensor("s", "F32", "[9223372036854775808,0]", 0, 0), ofGraph), `tensor "s": expected dimensions of at least 1, found shape [9223372036854775808 0]`},
	} {
		m, err := Decode(test.data, "some.safetensors")
		if err == nil || m != nil || !strings.HasPrefix(err.Error(), "some.safetensors: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v\nwant %s", name, err, test.want)
		}
	}
}

// Every file that is cut short, wherever, fails; and so does every one with a byte more.
func TestDecodeTruncated(t *testing.T) {
	for _, m := range []*Model{chain(t, "3-2-2"), graph()} {
		data := encode(t, m)
		for n := range data {
			if _, err := Decode(data[:n], "cut"); err == nil {
				t.Fatalf("arch %q: the first %d of %d bytes were taken for a model", m.Arch, n, len(data))
			}
		}
	}
}

// Every change of a single bit is found. In a file without a checksum, of an earlier version, none panics, and one in the
// values is read as another value.
func TestDecodeFlippedBits(t *testing.T) {
	m := chain(t, "3-2-2")
	sealed := encode(t, m)
	header := sealed[prefixBytes : prefixBytes+binary.LittleEndian.Uint64(sealed)]
	unsealed := frame(string(regexp.MustCompile(`"crc32c":"[0-9a-f]{8}",`).ReplaceAll(header, nil)))
	values := len(unsealed)
	unsealed = append(unsealed, sealed[prefixBytes+len(header):]...)
	for _, data := range [][]byte{sealed, unsealed} {
		if got, err := Decode(data, "whole"); err != nil || diff(got, m) != "" {
			t.Fatalf("found %v, %v", got, err)
		}
		for i := range data {
			for bit := range 8 {
				data[i] ^= 1 << bit
				got, err := Decode(data, "flipped")
				if &data[0] == &sealed[0] && err == nil {
					t.Fatalf("bit %d of byte %d is not missed", bit, i)
				}
				if &data[0] == &unsealed[0] && i >= values && (err != nil || diff(got, m) == "") {
					t.Fatalf("bit %d of byte %d, a value: %v", bit, i, err)
				}
				data[i] ^= 1 << bit
			}
		}
	}
}

// Decode allocates no more than allocPerFileByte bytes for each of the file's and allocPerHeaderByte for each of the
// header's, summed over its run. The header's worst are tensors of a name and nothing else, 50 bytes of JSON for which
// the JSON and safetensors packages, reading the header twice, were seen to make 2000 bytes of maps and strings.
const (
	allocPerFileByte   = 1
	allocPerHeaderByte = 64
	allocBase          = 64 << 10
)

func TestDecodeMemory(t *testing.T) {
	const n = maxHeaderBytes
	repeat := func(s string) string { return strings.TrimSuffix(strings.Repeat(s, (n-1000)/len(s)), ",") }
	var tensors, order []string
	for i := range n / 60 {
		tensors = append(tensors, tensor(fmt.Sprint(i), "U8", "[0]", 0, 0))
		order = append(order, fmt.Sprint(i))
	}
	var short []string
	for i := range n / 14 {
		short = append(short, fmt.Sprintf(`"%x":{}`, i))
	}
	for name, data := range map[string][]byte{
		"long shape":       file(1, tensor("s", "F32", "["+repeat("1,")+"]", 0, 4), metadata("", `order=["s"]`)),
		"long bad shape":   file(1, tensor("s", "F32", "["+repeat("1,")+",-1]", 0, 4), metadata("", `order=["s"]`)),
		"long offsets":     file(0, `"a":{"dtype":"F32","shape":[],"data_offsets":[`+repeat("1,")+`]}`),
		"nested":           file(0, `"a":{"dtype":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+`}`),
		"deep":             file(0, `"a":`+repeat("[")),
		"empty objects":    file(0, `"a":{"dtype":[`+repeat("{},")+`],"shape":[],"data_offsets":[0,0]}`),
		"empty tensors":    file(0, append(tensors[:n/60:n/60], metadata("1-1"))...),
		"tensors in order": file(0, append(tensors[:n/80:n/80], metadata("", `order=["`+strings.Join(order[:n/80], `","`)+`"]`))...),
		"same names":       file(0, repeat(`"a":{},`)),
		"short names":      file(0, strings.Join(short, ",")),
		"deep arch":        file(0, metadata(repeat("1-")+"1")),
		"long metadata":    file(0, `"__metadata__":{"arch":[`+repeat("0,")+`]}`),
		"values":           file(4<<20, tensor("0.weight", "F32", "[64,65535]", 0, 64*65535*4), tensor("0.bias", "F32", "[64]", 64*65535*4, 64*65536*4), metadata("65535-64")),
	} {
		headerBytes := binary.LittleEndian.Uint64(data)
		if headerBytes > maxHeaderBytes {
			t.Fatalf("%s: a header of %d bytes would not be parsed", name, headerBytes)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(data, name)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes for a header of %d and a file of %d", name, allocated, headerBytes, len(data))
		if limit := allocPerFileByte*uint64(len(data)) + allocPerHeaderByte*headerBytes + allocBase; allocated > limit {
			t.Errorf("%s: allocated %d bytes for a header of %d and a file of %d, want at most %d", name, allocated, headerBytes, len(data), limit)
		}
		if (err == nil) != (name == "values") {
			t.Errorf("%s: got %.300v", name, err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: a message of %d bytes: %.200s", name, len(err.Error()), err)
		}
	}
}

// FuzzDecode: any bytes give a model or an error; a model can be encoded again, to a file that gives the same model.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, chain(f, "3-2-2")))
	f.Add(encode(f, graph()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, "fuzz")
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			// Characters that JSON escapes take up to six bytes, so that a header can outgrow its limit.
			if binary.LittleEndian.Uint64(data) > maxHeaderBytes/6 {
				return
			}
			t.Fatalf("decoded, but not to be encoded: %v", err)
		}
		same, err := Decode(again, "again")
		if err != nil {
			t.Fatalf("encoded, but not to be decoded: %v", err)
		}
		if d := diff(m, same); d != "" {
			t.Fatalf("came back different:\n%s", d)
		}
	})
}
