package main

import (
	"image"

	"vanilla/dataset"
	"vanilla/mnist"
	"vanilla/model"
)

// asTrained makes of a picture what the images are that a network was trained on, rows x cols pixels. The doubts are
// [mnist.Doubts], of digits.
//
// What was done to files of pictures is done to this one, be it before they were written as arrays. Where the images were
// arrays, whose rows may have had to be transposed, a picture is upright: if they were shapes on an even background, it
// becomes such a shape, as large as theirs, light or dark as theirs; otherwise it is scaled whole. raw is a picture as it
// is in the data, to which all is done that was done to them.
func asTrained(m *model.Model, picture image.Image, rows, cols int, raw bool) (pixels []byte, doubts []string, err error) {
	was, err := dataset.ParsePreparation(m.Data)
	if err != nil {
		return nil, nil, err
	}
	if !raw && was.OfPictures() {
		return was.Picture(picture, rows, cols), nil, nil
	}
	was.Before = nil
	switch {
	case raw && was.Size == (dataset.Size{}):
		if was.Transpose {
			rows, cols = cols, rows
		}
		if pixels, err = mnist.Pixels(picture, rows, cols); err != nil {
			return nil, nil, err
		}
		return was.Pixels(pixels, rows, cols), nil, nil
	case raw:
		return was.Picture(picture, rows, cols), nil, nil
	case was.Whole:
		was.Transpose = false
		return was.Picture(picture, rows, cols), nil, nil
	}
	share := float64(was.Box)
	if share == 0 {
		pixels, doubts, err = mnist.FromPhoto(picture, rows, cols)
	} else {
		pixels, doubts, err = mnist.FromPhotoIn(picture, rows, cols, share)
	}
	if was.Light {
		for i := range pixels {
			pixels[i] = 255 - pixels[i]
		}
	}
	if m.Classes != nil {
		doubts = nil
	}
	return pixels, doubts, err
}
