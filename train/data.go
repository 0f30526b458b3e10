package train

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"slices"

	"vanilla/dataset"
	"vanilla/kernels"
)

// Data is a data set as executors take it, not a copy.
func Data(data *dataset.Dataset) kernels.Data {
	split := func(s *dataset.Images) kernels.Examples {
		return kernels.Examples{Pixels: s.Pixels, Labels: s.Labels, Features: s.Features(), Targets: s.Targets}
	}
	return kernels.Data{Train: split(data.Train), Test: split(data.Test), Classes: data.Train.Classes,
		Rows: data.Train.Rows, Cols: data.Train.Cols}
}

// heldOutSeed orders the training images for HoldOut. It is a constant, so that
// all runs are validated on the same images, whatever their seeds.
const heldOutSeed = 0x68656c64206f7574 // "held out"

// HoldOut is [Data] with a fraction of the training images, rounded to a whole
// number of them, held out for validation. Which ones depends on the number of
// images alone: they come first in a fixed permutation, so a smaller fraction's
// are among a larger one's. Both parts are copies and keep the images' order.
// With fraction 0 nothing is held out, and nothing copied.
func HoldOut(data *dataset.Dataset, fraction float64) kernels.Data {
	d := Data(data)
	n := d.Train.Len()
	count := HeldOut(n, fraction)
	if count == 0 {
		return d
	}
	order := kernels.NewOrder(heldOutSeed, 0, n)
	rows := make([]int32, n)
	order.Fill(rows, 0)
	d.Validation = pick(d.Train, rows[:count], d.Classes)
	d.Train = pick(d.Train, rows[count:], d.Classes)
	return d
}

// HeldOut is the number of n images that a fraction holds out.
func HeldOut(n int, fraction float64) int { return int(math.Round(fraction * float64(n))) }

// pick copies the given examples, in ascending order. It sorts rows.
func pick(e kernels.Examples, rows []int32, classes int) kernels.Examples {
	slices.Sort(rows)
	picked := kernels.Examples{
		Pixels:   make([]byte, 0, len(rows)*e.Features),
		Labels:   make([]byte, 0, len(rows)),
		Features: e.Features,
	}
	for _, r := range rows {
		picked.Pixels = append(picked.Pixels, e.Row(int(r))...)
		picked.Labels = append(picked.Labels, e.Labels[r])
		if e.Targets != nil {
			picked.Targets = e.AppendTarget(picked.Targets, int(r), classes)
		}
	}
	return picked
}

// Fingerprint tells data sets apart. It is not proof against forgery.
type Fingerprint struct {
	Train   int `json:"train"` // images
	Test    int `json:"test"`
	Rows    int `json:"rows"`
	Columns int `json:"columns"`
	Classes int `json:"classes"`
	// CRC-32C of the pixels, and of the labels with the targets, if there are any.
	TrainPixels uint32 `json:"train_pixels_crc32c"`
	TrainLabels uint32 `json:"train_labels_crc32c"`
	TestPixels  uint32 `json:"test_pixels_crc32c"`
	TestLabels  uint32 `json:"test_labels_crc32c"`
	// Reading is of the classes' names and of what was done to the images: 0 where
	// they have none, and nothing was.
	Reading uint32 `json:"reading_crc32c,omitempty"`
}

// UntaggedFingerprint is a Fingerprint as versions up to 0.1 wrote it: its keys
// were the names of the fields. It is still what identities are hashes of.
type UntaggedFingerprint struct {
	Train, Test, Rows, Columns, Classes              int
	TrainPixels, TrainLabels, TestPixels, TestLabels uint32
	Reading                                          uint32 `json:",omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler. It reads the keys of earlier versions
// too, and fails if there is another one.
func (f *Fingerprint) UnmarshalJSON(text []byte) error {
	strictly := func(v any) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		return d.Decode(v)
	}
	var was UntaggedFingerprint
	if strictly(&was) == nil {
		*f = Fingerprint(was)
		return nil
	}
	type tagged Fingerprint // without this method
	return strictly((*tagged)(f))
}

// FingerprintOf reads all of the data: some milliseconds for MNIST.
func FingerprintOf(data *dataset.Dataset) Fingerprint {
	table := crc32.MakeTable(crc32.Castagnoli) // which processors compute: 47 MB in milliseconds
	sum := func(b []byte) uint32 { return crc32.Checksum(b, table) }
	answers := func(s *dataset.Images) uint32 {
		crc := sum(s.Labels)
		for _, t := range s.Targets {
			crc = crc32.Update(crc, table, binary.LittleEndian.AppendUint32(nil, math.Float32bits(t)))
		}
		return crc
	}
	return Fingerprint{
		Train: data.Train.Len(), Test: data.Test.Len(),
		Rows: data.Train.Rows, Columns: data.Train.Cols, Classes: data.Train.Classes,
		TrainPixels: sum(data.Train.Pixels), TrainLabels: answers(data.Train),
		TestPixels: sum(data.Test.Pixels), TestLabels: answers(data.Test),
		Reading: reading(data.Train),
	}
}

// reading is Fingerprint.Reading. How images look was measured from their pixels,
// which have a sum of their own.
func reading(s *dataset.Images) uint32 {
	done := s.Prepared
	done.Whole, done.Light, done.Box = false, false, 0
	if s.Names == nil && done == (dataset.Preparation{}) {
		return 0
	}
	text, err := json.Marshal(struct {
		Names    []string
		Prepared dataset.Preparation
	}{s.Names, done})
	if err != nil {
		panic("train: " + err.Error()) // no value of theirs is none of JSON's
	}
	return crc32.Checksum(text, castagnoli)
}
