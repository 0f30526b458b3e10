package report

import (
	"io"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"

	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
)

// Row is a record as a row of a Parquet file: one for each variant and rung. Columns are called what fields are called in
// records; what there is not is null.
type Row struct {
	ID         string  `parquet:"id,dict"`
	Point      string  `parquet:"point,dict"`
	Stage      string  `parquet:"stage,dict"`
	Index      int32   `parquet:"index"`
	Bracket    int32   `parquet:"bracket"`
	Seed       uint64  `parquet:"seed"`
	OrderSeed  uint64  `parquet:"order_seed"`
	Parameters int64   `parquet:"parameters"`
	Arch       string  `parquet:"arch,dict"`
	Layers     int32   `parquet:"layers"`      // hidden ones
	Hidden     []int32 `parquet:"hidden,list"` // their units

	Activation  string  `parquet:"activation,dict"`
	Loss        string  `parquet:"loss,dict"`
	Optimizer   string  `parquet:"optimizer,dict"`
	LR          float64 `parquet:"lr"`
	WeightDecay float64 `parquet:"weight_decay"`
	Schedule    string  `parquet:"schedule,dict"`
	Batch       int32   `parquet:"batch"`
	Epochs      int32   `parquet:"epochs"`
	Init        string  `parquet:"init,dict"`
	// What the recipe does not have, such as adam a momentum, is null.
	Momentum   *float64 `parquet:"momentum,optional"`
	StepEpochs *int32   `parquet:"step_epochs,optional"`
	Gamma      *float64 `parquet:"gamma,optional"`
	Warmup     float64  `parquet:"warmup"`
	Block      string   `parquet:"block,dict"` // "" for none, and so has norm
	Norm       string   `parquet:"norm,dict"`

	Dropout        float64 `parquet:"dropout"`
	InputDropout   float64 `parquet:"input_dropout"`
	LabelSmoothing float64 `parquet:"label_smoothing"`

	Shift      int32   `parquet:"shift"`
	Validation float64 `parquet:"validation"`

	Status             string    `parquet:"status,dict"` // of the variant
	Rung               int32     `parquet:"rung"`
	Epoch              int32     `parquet:"epoch"`
	Step               int64     `parquet:"step"`
	Losses             []float64 `parquet:"losses,list"` // NaN where not finite
	TrainLoss          *float64  `parquet:"train_loss,optional"`
	ValidationLoss     *float64  `parquet:"validation_loss,optional"`
	ValidationAccuracy *float64  `parquet:"validation_accuracy,optional"`
	TestLoss           *float64  `parquet:"test_loss,optional"`
	TestAccuracy       *float64  `parquet:"test_accuracy,optional"`
	Diverged           bool      `parquet:"diverged"`
	Precision          string    `parquet:"precision,dict"`
	Seconds            float64   `parquet:"seconds"`
	Time               time.Time `parquet:"time,timestamp(millisecond)"`
}

// WriteParquet writes all records, compressed with Zstandard.
func (r *Report) WriteParquet(w io.Writer) error {
	file := parquet.NewGenericWriter[Row](w, parquet.Compression(&parquet.Zstd))
	const chunk = 1024
	precision := r.Precision()
	rows := make([]Row, 0, chunk)
	for i := range r.Variants {
		v := &r.Variants[i]
		for k := range v.Records {
			rows = append(rows, row(v, &v.Records[k], precision))
			if len(rows) == chunk {
				if _, err := file.Write(rows); err != nil {
					return err
				}
				rows = rows[:0]
			}
		}
	}
	if _, err := file.Write(rows); err != nil {
		return err
	}
	return file.Close()
}

func row(v *sweep.Variant, r *sweep.Record, precision string) Row {
	widths, _ := model.Widths(r.Arch) // checked with the plan
	w := Row{
		ID: r.ID, Point: r.Point, Stage: string(r.Stage), Index: int32(r.Index), Bracket: int32(r.Bracket), Seed: r.Seed,
		OrderSeed: r.OrderSeed, Parameters: int64(r.Parameters), Arch: r.Arch, Layers: int32(len(widths) - 2),
		Activation: r.Activation, Loss: r.Loss, Optimizer: r.Optimizer, LR: r.LR, WeightDecay: r.WeightDecay,
		Schedule: r.Schedule, Batch: int32(r.Batch), Epochs: int32(r.Epochs), Init: r.Init, Warmup: r.Warmup, Block: r.Block, Norm: r.Norm,
		Dropout: r.Dropout, InputDropout: r.InputDropout, LabelSmoothing: r.LabelSmoothing, Shift: int32(r.Shift), Validation: r.Recipe.Validation,
		Status: string(v.Status), Rung: int32(r.Rung), Epoch: int32(r.Epoch), Step: int64(r.Step), TrainLoss: known(&r.TrainLoss),
		ValidationLoss: known(r.ValidationLoss), ValidationAccuracy: r.ValidationAccuracy, TestLoss: known(r.TestLoss),
		TestAccuracy: r.TestAccuracy, Diverged: r.Diverged, Precision: precision, Seconds: r.Seconds, Time: r.Time,
	}
	if r.Has("momentum") {
		w.Momentum = &r.Momentum
	}
	if r.Has("step_epochs") {
		epochs := int32(r.StepEpochs)
		w.StepEpochs, w.Gamma = &epochs, &r.Gamma
	}
	for _, units := range widths[1 : len(widths)-1] {
		w.Hidden = append(w.Hidden, int32(units))
	}
	for _, l := range r.Losses {
		w.Losses = append(w.Losses, float64(l))
	}
	return w
}

// known is a loss, or nil if it is not finite.
func known(l *train.Loss) *float64 {
	if l == nil || math.IsNaN(float64(*l)) || math.IsInf(float64(*l), 0) {
		return nil
	}
	v := float64(*l)
	return &v
}
