package report

import (
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"vanilla/kernels"
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

	Shift        int32    `parquet:"shift"`
	Rotate       float64  `parquet:"rotate"`
	Scale        float64  `parquet:"scale"`
	Shear        float64  `parquet:"shear"`
	Stroke       float64  `parquet:"stroke"`
	Elastic      float64  `parquet:"elastic"`
	ElasticSigma *float64 `parquet:"elastic_sigma,optional"` // null without elastic
	NoiseShare   float64  `parquet:"noise_share"`
	Validation   float64  `parquet:"validation"`
	Patience     int32    `parquet:"patience"`

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
	Stuck              []string  `parquet:"stuck,list"`
	Precision          string    `parquet:"precision,dict"`
	Seconds            float64   `parquet:"seconds"`
	Time               time.Time `parquet:"time,timestamp(millisecond)"`
}

// WriteParquet writes all records, compressed with Zstandard.
func (r *Report) WriteParquet(w io.Writer) error {
	file := parquet.NewGenericWriter[Row](w, parquet.Compression(&parquet.Zstd))
	const chunk = 1024
	rows := make([]Row, 0, chunk)
	for i := range r.Variants {
		v := &r.Variants[i]
		for k := range v.Records {
			rows = append(rows, r.row(v, &v.Records[k]))
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

// row is a record of a variant.
func (d *Report) row(v *sweep.Variant, r *sweep.Record) Row {
	widths, _ := model.Widths(r.Arch) // checked with the plan
	w := Row{
		ID: r.ID, Point: r.Point, Stage: string(r.Stage), Index: int32(r.Index), Bracket: int32(r.Bracket), Seed: r.Seed,
		OrderSeed: r.OrderSeed, Parameters: int64(r.Parameters), Layers: int32(len(widths) - 2),
		Status: string(v.Status), Rung: int32(r.Rung), Epoch: int32(r.Epoch), Step: int64(r.Step), TrainLoss: known(&r.TrainLoss),
		ValidationLoss: known(r.ValidationLoss), ValidationAccuracy: r.ValidationAccuracy, TestLoss: known(r.TestLoss),
		TestAccuracy: r.TestAccuracy, Diverged: r.Diverged, Precision: kernels.Precision(d.ArithmeticOf(r)), Seconds: r.Seconds, Time: r.Time,
	}
	w.setRecipe(&r.Recipe)
	for _, s := range r.Stuck {
		w.Stuck = append(w.Stuck, string(s))
	}
	for _, units := range widths[1 : len(widths)-1] {
		w.Hidden = append(w.Hidden, int32(units))
	}
	for _, l := range r.Losses {
		w.Losses = append(w.Losses, float64(l))
	}
	return w
}

// setRecipe sets the columns that are called what fields of recipes are called. An optional one stays null where the recipe
// does not have the setting.
func (w *Row) setRecipe(r *train.Recipe) {
	row := reflect.ValueOf(w).Elem()
	for i, name := range columns {
		value := reflect.ValueOf(r.Get(name))
		if !value.IsValid() {
			continue // no field of recipes
		}
		to := row.Field(i)
		if to.Kind() == reflect.Pointer {
			if !r.Has(name) {
				continue
			}
			to.Set(reflect.New(to.Type().Elem()))
			to = to.Elem()
		}
		to.Set(value.Convert(to.Type()))
	}
}

// columns are the names of a [Row]'s, in its order.
var columns = func() []string {
	t := reflect.TypeFor[Row]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
	}
	return names
}()

// known is a loss, or nil if it is not finite.
func known(l *train.Loss) *float64 {
	if l == nil || math.IsNaN(float64(*l)) || math.IsInf(float64(*l), 0) {
		return nil
	}
	v := float64(*l)
	return &v
}
