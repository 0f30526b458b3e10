package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"vanilla/internal/store"
)

// Record is what is known of one network after one epoch. Files of records hold
// one as JSON on each line, see [ReadRecords]. Records of equal runs are equal
// but for Seconds.
type Record struct {
	// Variant is the network's index in its population, from 0.
	Variant int `json:"variant"`
	// Arch is "784-16-16-10", or "" for a graph built by hand.
	Arch      string `json:"arch"`
	Seed      uint64 `json:"seed"`       // of the initial weights
	OrderSeed uint64 `json:"order_seed"` // of the order of examples
	// Epoch and Step count what is completed. Where Diverged, the epoch is not.
	Epoch int `json:"epoch"`
	Step  int `json:"step"`
	// TrainLoss is the mean over the epoch's images, each measured in the batch
	// that trained it.
	TrainLoss Loss `json:"train_loss"`
	// LR is that of the last step.
	LR float64 `json:"step_size"`
	// Seconds is the time that training has taken up to here, the whole
	// population's; evaluation is not in it. A resumed run goes on counting.
	Seconds float64 `json:"seconds"`
	// Diverged networks were stopped: this is their last record.
	Diverged bool `json:"diverged"`
	// Validation is the score on the held-out images, nil if there are none or
	// the network diverged. Its fields stand beside the others in JSON.
	*Validation
}

// Validation is a score on the images that were held out.
type Validation struct {
	Loss     Loss    `json:"validation_loss"`
	Accuracy float64 `json:"validation_accuracy"` // fraction 0..1
}

// Loss is a loss that may be infinite or NaN: null in JSON, which is read as
// NaN.
type Loss float64

// MarshalJSON implements json.Marshaler.
func (l Loss) MarshalJSON() ([]byte, error) {
	if !finite(float64(l)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(l))
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Loss) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*l = Loss(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(l))
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// ReadRecords reads records, one JSON object on each line, as history.jsonl
// holds them. A last line without its end is left out: it is being written, or
// its writer was killed. It fails if a line is no record, and names it.
func ReadRecords(r io.Reader) ([]Record, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var records []Record
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete {
			return records, nil
		}
		var record Record
		if err := store.DecodeLine(line, &record); err != nil {
			return nil, fmt.Errorf("line %d: expected a record of an epoch, one JSON object: %w", len(records)+1, err)
		}
		records = append(records, record)
		data = rest
	}
}
