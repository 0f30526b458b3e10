package report

import (
	"fmt"

	"vanilla/internal/sample"
	"vanilla/internal/words"
	"vanilla/train/sweep"
)

// Two things are uncertain in an accuracy: which seed a network had, which ± is about, and which images it was measured on,
// which all networks share. The second is said beside the first, and is not in it.

// Images says what the choice of so many images adds to accuracies about as high as one.
func Images(accuracy float64, n int, which string) string {
	return fmt.Sprintf("the %s %s images are a sample too: others would move all accuracies by about ± %.2f", words.Thousands(n), which, 100*sample.ShareSE(accuracy, n))
}

// heldOut is the number of images that select.
func (r *Report) heldOut() int { return r.Plan.HeldOut() }

// heldOutSampling is [Images] of the held-out images and the best point, "" while there is none.
func (r *Report) heldOutSampling() string {
	if len(r.Points) == 0 || r.Points[0].Validation() == nil {
		return ""
	}
	return Images(r.Points[0].Validation().Mean, r.heldOut(), "held-out")
}

// testSampling is [Images] of the test images and the best finalist, "" while there is none.
func (r *Report) testSampling() string {
	if len(r.Points) == 0 || r.Points[0].Test == nil {
		return ""
	}
	return Images(r.Points[0].Test.Mean, r.Data.Test, "test")
}

// effectMeans explains effects below tables and figures.
const effectMeans = "An effect is the share of the variance of the error's logarithm that a dimension makes by itself, with its 95 % interval"

// effectsOf says what points effects are of, where they are no fair sample of the space.
func (r *Report) effectsOf() string {
	if r.Spec.Sampler == sweep.TPESampler {
		return ", of the points as they were drawn: more of them where earlier ones were good, so that what matters elsewhere is underrated"
	}
	return ""
}

// effectText is a dimension's effect: "58 % (52 to 64)", "not seen (0 to 2 %)".
func (d *Dimension) effectText() string {
	switch {
	case d.Follows:
		return "follows from the others"
	case d.Effect == nil:
		return "too few points"
	}
	return d.Effect.String()
}

// String is the share with its interval, in per cent.
func (e *Effect) String() string {
	if !e.Found() {
		return fmt.Sprintf("not seen (0 to %s %%)", whole(e.Upper))
	}
	return fmt.Sprintf("%s %% (%s to %s)", whole(e.Share), whole(e.Lower), whole(e.Upper))
}

// whole is a share in per cent, with a digit more where it is small.
func whole(share float64) string {
	switch {
	case share < 0.00095 && share > 0:
		return "< 0.1"
	case share < 0.0995 && share > 0, share > 0.9905 && share < 1:
		return fmt.Sprintf("%.1f", 100*share)
	}
	return fmt.Sprintf("%.0f", 100*share)
}

// interactionText says what two dimensions do beyond what each does, if that was looked at.
func (r *Report) interactionText(a, b string) string {
	for _, i := range r.Interactions {
		if i.A != a && i.A != b || i.B != a && i.B != b {
			continue
		}
		if !i.Found() {
			return fmt.Sprintf("An interaction of %s and %s is not seen (95 %% interval 0 to %s %% of the variance of the error's logarithm)", a, b, whole(i.Upper))
		}
		return fmt.Sprintf("What %s and %s do together beyond what each does is %s %% of the variance of the error's logarithm (95 %% interval %s to %s)", a, b, whole(i.Share), whole(i.Lower), whole(i.Upper))
	}
	return ""
}
