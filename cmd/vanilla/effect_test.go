package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vanilla/train/sweep"
)

// A flag that has no effect beside the others is wrong usage, and what it would have gone with is said.
func TestFlagsWithoutEffect(t *testing.T) {
	inData(t)
	runSweep(t, "sweep", sweep.Shard{})
	must(t, tiny("--history", "run")...)
	put(t, "picture.png", "")
	if err := os.Mkdir("records", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join("records", "a.jsonl"), "{}\n")
	before := listing(t)
	const alone = "--compare reads two files and measures nothing: want it alone, or with --repeat"
	for line, want := range map[string]string{
		"bench --compare a b --suite wide":                         "--suite wide: " + alone,
		"bench --compare a b --json":                               "--json: " + alone,
		"bench --compare a b --executors cpu,ref":                  "--executors cpu,ref: " + alone,
		"bench --compare a b --results there":                      "--results there: " + alone,
		"bench --compare a b --rounds 3":                           "--rounds 3: " + alone,
		"bench --peers python3 --suite step":                       "--suite step: --peers is for the suite peers",
		"bench --reproduce bench/results --suite step":             "--suite step: --reproduce is for the suite accuracy",
		"bench --reproduce bench/results --json":                   "--json: --reproduce holds results",
		"bench --reproduce bench/results --results x":              "--results x: --reproduce holds results",
		"bench --reproduce records":                                "--reproduce records: want a directory of results, as bench --suite accuracy --results keeps them",
		"bench --repeat there":                                     "--repeat there: want it with --compare or --against",
		"bench --suite accuracy --executors handrolled":            "--executors handrolled: the suite accuracy does not train it",
		"bench --suite to-accuracy --data tiny":                    "--data tiny: the suite to-accuracy has no use for it",
		"results sweep --compare sweep --top 3":                    "--top 3: --compare prints a comparison",
		"results sweep --compare sweep --html x.html":              "--html x.html: --compare prints a comparison",
		"results sweep --html x.html --follow --heat h1,h2":        "--heat h1,h2: --follow writes the page of --html",
		"results sweep --html x.html --follow --top 3":             "--top 3: --follow writes the page of --html",
		"results sweep --json --top 3":                             "--top 3: --json prints all points",
		"results sweep --dark":                                     "--dark: it is for --figures",
		"results sweep --format svg":                               "--format svg: it is for --figures",
		"results sweep --heat activation,lr":                       "--heat activation,lr: it is for --figures and --html",
		"train --data tiny --history run --allow-mixed":            "--allow-mixed: it only applies to a run that is resumed",
		"sweep --data tiny --lr 0.1,0.2 --grid --seed 2 --out new": "--seed 2: it is of the points that are drawn, and --grid takes all",
		"data tiny --dark":                                         "--dark: it is for --sheet",
		"data tiny --label-column first":                           "--label-column first: tiny is IDX: only .csv files have label columns",
		"data mnist --label-column last":                           "--label-column last: mnist is IDX",
		"predict default picture.png --invert":                     "--invert: it says how --data are read",
		"predict default picture.png --size 28":                    "--size 28: it says how --data are read",
		"viz weights default --json --dark":                        "--dark: with --json alone nothing is drawn",
		"viz weights default --json --unit 1 --scale unit":         "--scale unit: --unit draws one unit",
		"viz robustness default --json --image x.png --index 0":    "--index 0: found --image x.png too",
	} {
		stdout, stderr, code := vanilla(t, strings.Fields(line)...)
		if code != misuse || stdout != "" || !strings.Contains(stderr, ": "+want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s%s; want %s", line, code, stdout, stderr, want)
		}
	}
	if after := listing(t); !slices.Equal(before, after) {
		t.Errorf("files were %q, now %q", before, after)
	}
}

// A word that was typed stays a word where a flag is called so too.
func TestTypedWordsAreNoFlags(t *testing.T) {
	inData(t)
	runSweep(t, "sweep", sweep.Shard{})
	if err := os.Mkdir("figures", 0o755); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"results sweep --figures figures --heat parquet,init": `--heat parquet,init: unknown dimension "parquet"`,
		"train seed": `unexpected argument "seed"`,
		"viz seed":   `found the figure "seed"`,
	} {
		if _, stderr, code := vanilla(t, strings.Fields(line)...); code != misuse || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s; want %s", line, code, stderr, want)
		}
	}
}
