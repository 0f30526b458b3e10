package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/viz"
)

func vizAllCommand() *cobra.Command {
	var v vizFlags
	c := &cobra.Command{
		Use:   "all MODEL -o DIR",
		Short: "All figures of one model, with a page that shows them",
		Long: `All draws every figure that one model allows into a directory, with each one's numbers
as JSON and an index.html that shows them and says what was left out, and why.
` + models,
		Example: "  vanilla viz all default -o figures",
		Args:    modelArgument,
		RunE: func(c *cobra.Command, args []string) error {
			return v.all(c.Context(), args[0], c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&v.out, "out", "o", "", "where to draw, a `directory`, created if there is none")
	c.Flags().Uint64Var(&v.seed, "seed", 1, "seed `number` of the noise")
	v.common(c)
	c.Flags().BoolVar(&v.json, "json", false, "print what was drawn and what was left out as one JSON object")
	v.source.flags(c)
	return c
}

// gallery is what viz all has made; --json prints it.
type gallery struct {
	Model string  `json:"model"`
	Drawn []drawn `json:"drawn"`
	Left  []left  `json:"left_out"`
	Dark  bool    `json:"-"`
}

type drawn struct {
	Figure string   `json:"figure"`
	Files  []string `json:"files"`
	Short  string   `json:"-"`
}

type left struct {
	Figure string `json:"figure"`
	Why    string `json:"why"`
}

func (v *vizFlags) all(ctx context.Context, name string, stdout io.Writer) (err error) {
	if v.out == "" {
		return &train.SettingError{Field: "out", Value: v.out, Problem: "want the name of a directory"}
	}
	if err := keepApart([]string{name, v.data.name}, output{"--out", filepath.Join(v.out, "weights.png")}); err != nil {
		return err
	}
	v.scale, v.unit, v.from, v.to = string(viz.SharedScale), viz.MostActive, defaultFrom, defaultTo
	if err := v.prepare(ctx); err != nil {
		return err
	}
	defer closing(v, &err)
	// What keeps all figures from being drawn is no reason to leave out one after
	// the other.
	if _, _, err := v.openWithData(name); err != nil {
		return err
	}
	if err := os.MkdirAll(v.out, 0o755); err != nil {
		return fmt.Errorf("--out %s: want a directory: %w", v.out, store.Cause(err))
	}
	g := gallery{Model: name, Drawn: []drawn{}, Left: []left{}, Dark: v.dark}
	for _, f := range figures() {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d figures", len(g.Drawn))
		}
		if f.arguments == directories {
			g.Left = append(g.Left, left{f.name, "it shows the course of training, which a model does not hold: vanilla train --history DIR keeps it, vanilla viz training DIR draws it"})
			continue
		}
		made, err := f.make(v, []string{name})
		if err != nil {
			g.Left = append(g.Left, left{f.name, err.Error()})
			continue
		}
		d := drawn{Figure: f.name, Short: f.short}
		formats := []viz.Format{viz.PNG}
		if viz.Moves(made) {
			formats = append(formats, viz.GIF)
		}
		for _, format := range formats {
			file := f.name + "." + string(format)
			if err := v.save(filepath.Join(v.out, file), made, format); err != nil {
				return err
			}
			d.Files = append(d.Files, file)
		}
		numbers, err := json.Marshal(made)
		if err != nil {
			return err
		}
		file := f.name + ".json"
		if err := v.write(file, append(numbers, '\n')); err != nil {
			return err
		}
		d.Files = append(d.Files, file)
		g.Drawn = append(g.Drawn, d)
	}
	var page bytes.Buffer
	if err := galleryPage.Execute(&page, g); err != nil {
		return err
	}
	if err := v.write("index.html", page.Bytes()); err != nil {
		return err
	}
	if v.json {
		return writeJSON(stdout, g)
	}
	return g.print(stdout, filepath.Join(v.out, "index.html"))
}

func (v *vizFlags) write(file string, data []byte) error {
	return store.Replace(filepath.Join(v.out, file), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (g gallery) print(w io.Writer, index string) error {
	var b bytes.Buffer
	for _, d := range g.Drawn {
		fmt.Fprintf(&b, "%-12s %s\n", d.Figure, strings.Join(d.Files, " "))
	}
	for _, l := range g.Left {
		fmt.Fprintf(&b, "%-12s left out: %s\n", l.Figure, words.OneLine(l.Why))
	}
	fmt.Fprintf(&b, "\nsee them all: %s\n", words.OneLine(index))
	_, err := w.Write(b.Bytes())
	return err
}

// galleryPage needs nothing but the files beside it.
var galleryPage = template.Must(template.New("index.html").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Model}}: what it learned</title>
<style>
:root { color-scheme: {{if .Dark}}dark{{else}}light{{end}}; }
body { margin: 2rem auto; max-width: 52rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  {{if .Dark}}background: #111316; color: #eceef1{{else}}background: #fff; color: #1b1d21{{end}} }
figure { margin: 0; overflow-x: auto; }
img { width: 100%; min-width: 40rem; height: auto; }
section { margin-bottom: 3rem; }
a { color: inherit; }
</style>
<h1>{{.Model}}: what it learned</h1>
{{range .Drawn}}
<section id="{{.Figure}}">
<h2>{{.Short}}</h2>
<figure><a href="{{.Figure}}.png"><img src="{{.Figure}}.png" alt="{{.Short}}"></a></figure>
<p>{{range .Files}}<a href="{{.}}">{{.}}</a> {{end}}</p>
</section>
{{end}}
{{with .Left}}<h2>Left out</h2>
<ul>{{range .}}<li><b>{{.Figure}}</b>: {{.Why}}</li>{{end}}</ul>
{{end}}</html>
`))
