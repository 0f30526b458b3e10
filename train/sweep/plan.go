package sweep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"vanilla/internal/memory"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// Point is a recipe of the space.
type Point struct {
	ID         string // hash of the recipe and the data
	Index      int    // in the plan
	Bracket    int
	Parameters int
	Recipe     train.Recipe

	chosen map[string]string // the values of the space's fields
}

// Plan is all that a sweep is to train.
type Plan struct {
	Spec Spec
	Data train.Fingerprint
	// Points are in the order in which they were drawn, or of the grid. A sampler that
	// learns draws those of a bracket when those before it are trained: the others are
	// not there yet.
	Points []Point
	// Brackets lists the points of each bracket by their index.
	Brackets [][]int
	// LeftOut counts the grid's combinations, or draws, whose block or norm has nothing to do in the network's layers: they
	// are no points, and others were drawn in their place.
	LeftOut int

	values map[string]*Values // of the space
	seen   map[string]bool    // the points' IDs
}

// LeftOutText says how many combinations are no points, "" if none.
func (p *Plan) LeftOutText() string {
	if p.LeftOut == 0 {
		return ""
	}
	return fmt.Sprintf("%s whose block or norm has nothing to do", words.Plural(p.LeftOut, "combination"))
}

// bracketPoints is how many points a bracket has if nothing else is said.
const bracketPoints = 64

// NewPlan makes the points of a spec, always the same ones. It fails with a
// *train.SettingError if a setting cannot be, if the space is empty, or if a
// point of it cannot be trained on the data, and with the cause of ctx when that
// is done: millions of points take minutes.
func NewPlan(ctx context.Context, spec Spec, data train.Fingerprint) (*Plan, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	p := &Plan{Spec: spec, Data: data, values: map[string]*Values{}, seen: map[string]bool{}}
	for field, text := range spec.Space {
		v, err := ParseValues(field, text)
		if err != nil {
			return nil, err
		}
		p.values[field] = &v
	}
	if err := p.checkEnds(); err != nil {
		return nil, err
	}
	if n := spec.Points * spec.Seeds; n > maxVariants {
		return nil, tooMany(spec.Seeds, n)
	}
	if spec.learns() {
		if err := p.reserve(); err != nil {
			return nil, err
		}
		return p, p.draw(ctx, len(p.Brackets[0]), p.random(0))
	}
	var err error
	if spec.Points == 0 {
		err = p.grid(ctx, p.values)
	} else {
		err = p.draw(ctx, spec.Points, p.random(0))
	}
	if err != nil {
		return nil, err
	}
	if n := len(p.Points) * spec.Seeds; n > maxVariants {
		return nil, tooMany(spec.Seeds, n)
	}
	p.seen = nil
	return p, p.assign()
}

// checkEnds fails if a value of a number, or an end of a range, cannot be whatever other fields are: it is not for the draws to
// find.
func (p *Plan) checkEnds() error {
	for _, field := range SpaceFields() {
		v := p.values[field]
		_, both := p.values[dependent[field]]
		if v == nil || both || slices.Contains([]string{"layers", "hidden"}, field) || slices.Contains(names, field) {
			continue
		}
		for _, it := range v.items {
			ends := []string{it.text}
			if it.ranged {
				ends = []string{formatted(it.lo), formatted(it.hi)}
			}
			for _, text := range ends {
				_, err := p.point(map[string]string{field: text})
				var setting *train.SettingError
				if errors.As(err, &setting) && setting.Field == field {
					return err
				}
			}
		}
	}
	return nil
}

// dependent are fields whose bounds are other fields' values.
var dependent = map[string]string{"warmup": "epochs", "elastic": "elastic_sigma", "elastic_sigma": "elastic"}

func tooMany(seeds, variants int) error {
	return &train.SettingError{Field: "seeds", Value: seeds, Problem: fmt.Sprintf("that makes %d variants: want at most %d", variants, maxVariants)}
}

// assign puts the points into brackets, in an order at random.
func (p *Plan) assign() error {
	n := len(p.Points)
	brackets := p.Spec.Brackets
	if brackets == 0 {
		brackets = max(1, (n+bracketPoints/2)/bracketPoints)
	}
	if brackets > n {
		return tooManyBrackets(brackets, n)
	}
	order := kernels.NewOrder(p.Spec.Seed, 0, n)
	shuffled := make([]int32, n)
	order.Fill(shuffled, 0)
	p.Brackets = make([][]int, brackets)
	for b := range brackets {
		for _, i := range shuffled[b*n/brackets : (b+1)*n/brackets] {
			p.Points[i].Bracket = b
			p.Brackets[b] = append(p.Brackets[b], int(i))
		}
		slices.Sort(p.Brackets[b])
	}
	return nil
}

// maxMisses is how many draws in a row may bring nothing new.
const maxMisses = 10_000

// random chooses points of the space as all are equally likely, draw number from and
// on.
func (p *Plan) random(from uint64) func() (map[string]string, error) {
	n := from
	return func() (map[string]string, error) {
		r := newRandom(p.Spec.Seed, n)
		n++
		return p.choose(func(field string, _ int) string { return p.values[field].draw(r) })
	}
}

// choose makes a choice of the values of all fields, of hidden for each layer.
func (p *Plan) choose(value func(field string, layer int) string) (map[string]string, error) {
	chosen := map[string]string{}
	for _, field := range SpaceFields() {
		switch {
		case p.values[field] == nil:
		case field == "hidden":
			layers, err := p.layers(chosen["layers"])
			if err != nil {
				return nil, err
			}
			widths := make([]string, layers)
			for i := range widths {
				widths[i] = value(field, i)
			}
			chosen[field] = strings.Join(widths, "-")
		default:
			chosen[field] = value(field, 0)
		}
	}
	return chosen, nil
}

// draw adds n points, of those that next chooses the new ones that are not too large.
func (p *Plan) draw(ctx context.Context, n int, next func() (map[string]string, error)) error {
	if err := fitsMemory(float64(p.Spec.Points)); err != nil {
		return err
	}
	misses, large := 0, 0
	var unfit error
	for until := len(p.Points) + n; len(p.Points) < until; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		chosen, err := next()
		if err != nil {
			return err
		}
		point, err := p.point(chosen)
		none := nothingToDo(err)
		if err != nil && !none {
			return err
		}
		tooLarge := p.Spec.MaxParameters > 0 && point.Parameters > p.Spec.MaxParameters
		if none || tooLarge || p.seen[point.ID] {
			if none {
				p.LeftOut++
				unfit = err
			}
			if tooLarge {
				large++
			}
			if misses++; misses < maxMisses {
				continue
			}
			if len(p.Points) == 0 {
				return p.nothingLeft(unfit, large > 0)
			}
			points := "points"
			if len(p.Points) == 1 {
				points = "point"
			}
			what := "different " + points
			if large > misses/2 {
				what = fmt.Sprintf("%s of at most %d parameters", points, p.Spec.MaxParameters)
			}
			return &train.SettingError{Field: "points", Value: p.Spec.Points,
				Problem: fmt.Sprintf("the space seems to have only %d %s: want fewer points, \"grid\" or a larger space", len(p.Points), what)}
		}
		misses, large = 0, 0
		p.seen[point.ID] = true
		point.Index = len(p.Points)
		if p.Spec.learns() {
			point.chosen, point.Bracket = chosen, p.bracketOf(point.Index)
		}
		p.Points = append(p.Points, point)
	}
	return nil
}

// pointBytes is about what a point of a plan takes.
const pointBytes = 800

func fitsMemory(points float64) error {
	return memory.Check(fmt.Sprintf("a plan of %.0f points", points), uint64(points*pointBytes))
}

// fitsTraining fails if one of some points is too large to be trained at all.
func (p *Plan) fitsTraining(points []Point) error {
	largest := slices.MaxFunc(points, func(a, b Point) int { return cmp.Compare(a.Parameters, b.Parameters) })
	return memory.Check("training "+largest.Recipe.Arch, largest.Recipe.Bytes())
}

// nothingToDo says whether a point cannot be because its block or norm, by itself one that can be, has nothing to do in the
// layers that were chosen.
func nothingToDo(err error) bool {
	var setting *train.SettingError
	return errors.As(err, &setting) && (setting.Field == "block" || setting.Field == "norm")
}

// nothingLeft says why no point of the space is left: what is wrong with one, or that all others are too large.
func (p *Plan) nothingLeft(unfit error, large bool) error {
	if unfit != nil && !large {
		return unfit
	}
	return &train.SettingError{Field: "max_parameters", Value: p.Spec.MaxParameters, Problem: "all networks of the space are larger: want a larger number or smaller layers"}
}

// layers is the number of hidden layers: as given, or as the recipe has.
func (p *Plan) layers(text string) (int, error) {
	if text == "" {
		widths, err := model.Widths(p.Spec.Recipe.Arch)
		return len(widths) - 2, err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > maxLayers {
		return 0, &train.SettingError{Field: "layers", Value: text, Problem: fmt.Sprintf("want 0 to %d hidden layers", maxLayers)}
	}
	return int(n), nil
}

// point is the recipe with the chosen values.
func (p *Plan) point(chosen map[string]string) (Point, error) {
	r, err := p.Spec.recipe(chosen)
	if err != nil {
		return Point{}, err
	}
	if _, given := chosen["arch"]; !given {
		if err := p.shape(&r, chosen); err != nil {
			return Point{}, err
		}
	}
	if r.Block+r.Norm != "" && !r.Has("block") {
		r.Block, r.Norm = "", ""
	}
	if r.Dropout != 0 && !r.Has("dropout") {
		r.Dropout = 0
	}
	if !r.Has("label_smoothing") {
		r.LabelSmoothing = 0
	}
	if !r.Has("elastic_sigma") {
		r.ElasticSigma = 0
	}
	if err := r.Check(); err != nil {
		return Point{}, err
	}
	if err := r.FitsLike(p.Data); err != nil {
		return Point{}, err
	}
	point := Point{Recipe: r, Parameters: r.Parameters()}
	point.ID, err = hash(r, train.UntaggedFingerprint(p.Data))
	return point, err
}

// shape sets the architecture from the data's sizes and what was chosen for the
// hidden layers.
func (p *Plan) shape(r *train.Recipe, chosen map[string]string) error {
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return &train.SettingError{Field: "arch", Value: r.Arch, Problem: "want widths joined by dashes, as in 784-16-16-10"}
	}
	hidden := widths[1 : len(widths)-1]
	_, shaped := chosen["layers"]
	if _, given := chosen["hidden"]; !given && !shaped { // the recipe's own, with activations of their own
		widths[0], widths[len(widths)-1] = p.Data.Rows*p.Data.Columns, p.Data.Classes
		_, activations, err := model.ParseArch(r.Arch)
		r.Arch = model.JoinArch(widths, activations)
		return err
	}
	parts := []string{strconv.Itoa(p.Data.Rows * p.Data.Columns)}
	if text, given := chosen["hidden"]; given {
		if text != "" {
			parts = append(parts, text)
		}
	} else {
		layers, err := p.layers(chosen["layers"])
		if err != nil {
			return err
		}
		if layers > 0 && len(hidden) == 0 {
			return &train.SettingError{Field: "layers", Value: layers, Problem: fmt.Sprintf("%s has no hidden layer to repeat: want \"hidden\" too", r.Arch)}
		}
		for i := range layers {
			parts = append(parts, strconv.Itoa(hidden[min(i, len(hidden)-1)]))
		}
	}
	r.Arch = strings.Join(append(parts, strconv.Itoa(p.Data.Classes)), "-")
	return nil
}

// hash is 64 bits of what a variant or point is a function of, in hexadecimal.
func hash(of ...any) (string, error) {
	text, err := json.Marshal(of)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// Identity is the variant of a point with a seed. Its index in the plan is not
// part of what its ID is a hash of.
func (p *Plan) Identity(point int, stage Stage, seed uint64) Identity {
	pt := &p.Points[point]
	id, err := hash(pt.Recipe, train.UntaggedFingerprint(p.Data), seed, seed)
	if err != nil {
		panic("a recipe that was checked has no JSON")
	}
	return Identity{ID: id, Point: pt.ID, Stage: stage, Index: pt.Index, Bracket: pt.Bracket,
		Seed: seed, OrderSeed: seed, Parameters: pt.Parameters, Recipe: pt.Recipe}
}

// Seeds are those of a stage.
func (p *Plan) Seeds(stage Stage) []uint64 {
	first, n := 1, p.Spec.Seeds
	if stage == Final {
		first, n = 1+p.Spec.Seeds, p.Spec.FinalSeeds
	}
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = uint64(first + i)
	}
	return seeds
}

// Rungs are the epochs after which variants of a point are compared.
func (p *Plan) Rungs(point int) []int {
	if len(p.Spec.Halving) > 0 {
		return p.Spec.Halving
	}
	return []int{p.like(point).Recipe.Epochs}
}

// Quota is how many points of a bracket are trained up to a rung.
func (p *Plan) Quota(bracket, rung int) int {
	n := len(p.Brackets[bracket])
	for r := range rung {
		n = max(1, int(math.Round(float64(n)*float64(p.Spec.Halving[r])/float64(p.Spec.Halving[r+1]))))
	}
	return n
}

// Finalists is how many points are trained again at the end.
func (p *Plan) Finalists() int {
	n := 0
	for b := range p.Brackets {
		n += p.Quota(b, len(p.Spec.Rungs())-1)
	}
	return min(n, p.Spec.Finalists)
}

// Planned counts the variants of the search in a shard's brackets, and those of
// the finals, which are no shard's.
func (p *Plan) Planned(shard Shard) (search, finals int) {
	for _, b := range shard.brackets(p) {
		search += len(p.Brackets[b]) * p.Spec.Seeds
	}
	if shard.Of <= 1 {
		finals = p.Finalists() * p.Spec.FinalSeeds
	}
	return search, finals
}

// Shard is part Part of Of parts of a plan, counted from 1. The zero value is all
// of it.
type Shard struct {
	Part int `json:"part"`
	Of   int `json:"of"`
}

// ParseShard reads "2/8".
func ParseShard(text string) (s Shard, err error) {
	part, of, ok := strings.Cut(text, "/")
	var errs [2]error
	s.Part, errs[0] = strconv.Atoi(part)
	s.Of, errs[1] = strconv.Atoi(of)
	if !ok || errors.Join(errs[:]...) != nil || s.Part < 1 || s.Part > s.Of {
		return Shard{}, &train.SettingError{Field: "shard", Value: text, Problem: "want the part's number, from 1, and how many parts there are, as in 1/8"}
	}
	return s, nil
}

func (s Shard) String() string {
	if s.Of == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.Part, s.Of)
}

// whole says whether it is all of the plan.
func (s Shard) whole() bool { return s.Of <= 1 }

// brackets lists those of the shard: every Of-th one.
func (s Shard) brackets(p *Plan) []int {
	var own []int
	for b := range p.Brackets {
		if s.whole() || b%s.Of == s.Part-1 {
			own = append(own, b)
		}
	}
	return own
}

// check reports a shard that has nothing to do, or that cannot be.
func (s Shard) check(p *Plan) error {
	if !s.whole() && p.Spec.learns() {
		return &train.SettingError{Field: "shard", Value: s, Problem: fmt.Sprintf("the sampler %s draws each bracket from the results of all before it, which one machine has: want %q, or the whole plan", p.Spec.Sampler, RandomSampler)}
	}
	if s.Of > len(p.Brackets) {
		return &train.SettingError{Field: "shard", Value: s, Problem: fmt.Sprintf("the plan has %d brackets, and a bracket is on one machine: want at most as many parts, or more \"brackets\"", len(p.Brackets))}
	}
	return nil
}

// Check reports a shard that has nothing to do.
func (p *Plan) Check(s Shard) error { return s.check(p) }
