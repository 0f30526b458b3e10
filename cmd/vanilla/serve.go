package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"vanilla/dataset"
	"vanilla/internal/words"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/train"
	"vanilla/viz/page"
)

// serveFlags are the flags of the command serve.
type serveFlags struct {
	executorFlags
	source
	address, sweep string
	data           dataSource
	open           bool
}

func serveCommand() *cobra.Command {
	var s serveFlags
	c := &cobra.Command{
		Use:   "serve [MODEL…]",
		Short: "Open the page on which one draws an image and watches every unit",
		Long: `Serve shows networks in a browser: draw a digit, or what else the network knows, watch
all units as you draw, take any of them apart, make an 8 of a 3 until the answer flips,
and train several networks at once while their weights move. The page needs nothing from
the internet.

MODEL is default or lesson, which are built in, or a file with a chain of layers, whose
activations may differ; in a PyTorch state_dict layers must be numbered, as in 0.weight
or fc1.weight. Networks with blocks or norms can be trained on the page, but not drawn.
Without a MODEL, both that are built in are shown, side by side.

--sweep follows a sweep, running or finished, and takes any of its networks to the
drawing: it is trained again, from its recipe and seed.

The page is for this machine alone unless --addr says otherwise. It has no passwords:
whoever reaches it can use it. Ctrl-C ends it.`,
		Example: `  vanilla serve
  vanilla serve model.safetensors default --open
  vanilla serve --sweep widths
  vanilla serve --addr 127.0.0.1:9000`,
		RunE: func(c *cobra.Command, args []string) error {
			s.data.of(c)
			return s.run(c.Context(), args, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&s.address, "addr", "127.0.0.1:8784", "where to serve the page, an `address` host:port; port 0 is any that is free")
	c.Flags().StringVar(&s.sweep, "sweep", "", "sweep to follow, by its `directory`, which may be running")
	c.Flags().BoolVar(&s.open, "open", false, "open the page in a browser")
	s.data.addTo(c.Flags(), "mnist", dataUsage)
	s.executorFlags.flags(c)
	s.source.flags(c)
	return c
}

// shownImages is how many test images the page that is served can load.
const shownImages = 1000

func (s *serveFlags) run(ctx context.Context, names []string, stdout, stderr io.Writer) (err error) {
	executor, err := s.executorFlags.open()
	if err != nil {
		return err
	}
	defer closing(executor, &err)
	if len(names) == 0 {
		names = zoo.Names()
	}
	var shown []page.Network
	for _, name := range names {
		m, err := s.source.open(name)
		if err != nil {
			return err
		}
		shown = append(shown, page.Network{Name: name, Model: m})
	}
	like := s.like(shown)
	data, err := s.data.load(ctx, like)
	if err != nil {
		return err
	}
	for _, n := range shown {
		// Numbers are called what one network calls its classes where all do.
		if s.data.byOrder && like.Classes != nil && !slices.Equal(n.Model.Classes, like.Classes) {
			data.Train.Names, data.Test.Names = nil, nil
		}
		unfit := suits(data, s.data.name, n.Model, n.Name)
		if unfit != nil && n.Model == like {
			return unfit
		}
		if unfit != nil {
			fmt.Fprintf(stderr, "%s: the page's images are not what it takes: %s\n", words.OneLine(n.Name), words.OneLine(misfit(unfit)))
		}
	}
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		return &train.SettingError{Field: "addr", Value: s.address, Problem: "want host:port, as in 127.0.0.1:8784"}
	}
	server, err := page.New(ctx, page.Options{
		Networks: shown,
		Images:   page.NewSample(data.Test, shownImages, nil),
		Trainer:  page.Trainer{Executor: executor, Data: data, Version: version},
		Sweep:    s.sweep,
		Host:     host,
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, s.address)
	if err != nil {
		return err
	}
	address := "http://" + listener.Addr().String() + "/"
	if _, err := fmt.Fprintf(stdout, "the page is at %s (Ctrl-C ends it)\n", address); err != nil {
		listener.Close()
		return err
	}
	if s.open {
		if err := openBrowser(address); err != nil {
			fmt.Fprintf(stdout, "no browser could be opened: %v\n", err)
		}
	}
	return server.Serve(ctx, listener)
}

// like is the network whose data --data names: the first one that was trained on others than MNIST, if any.
func (s *serveFlags) like(shown []page.Network) *model.Model {
	for _, n := range shown {
		if s.data.name != "mnist" && (n.Model.Data != nil || n.Model.Classes != nil) {
			return n.Model
		}
	}
	return nil
}

// suits reports data that a network does not take, or was not trained on if that shows in the names of its classes.
func suits(data *dataset.Dataset, name string, m *model.Model, path string) error {
	if name == "mnist" {
		if err := mnistsClasses(m.Classes); err != nil {
			return err
		}
	}
	return fits(data, name, m, path)
}

// misfit is an error about the data, to be read after something else, and what helps.
func misfit(err error) string {
	var setting *train.SettingError
	if errors.As(err, &setting) {
		return fmt.Sprintf("%s: %s; --data names others", setting.Value, setting.Problem)
	}
	return err.Error()
}

// listen says of an address that is taken what to do.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--addr %s: something listens there already, perhaps another vanilla serve: end it, or want another address, as in --addr 127.0.0.1:0, which takes any free port", address)
	case errors.As(err, &op):
		return nil, fmt.Errorf("--addr %s: cannot listen there: %w", address, op.Err)
	}
	return l, err
}

// openBrowser opens an address in whatever opens addresses on this system.
func openBrowser(address string) error {
	command := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open"}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	c := exec.Command(command[0], append(command[1:], address)...)
	if err := c.Start(); err != nil {
		return err
	}
	go c.Wait() // which frees what the system keeps of it
	return nil
}

// exportedImages is how many test images the exported page holds.
const exportedImages = 100

// writePage writes a network as a page, with test images and mistakes where the data fits.
func writePage(ctx context.Context, w io.Writer, n *seen, data *dataset.Dataset) error {
	var sample *page.Sample
	if data != nil {
		classes, err := n.Classify(ctx, data.Test.Pixels)
		if err != nil {
			return err
		}
		var wrong []int
		for i, c := range classes {
			if c != data.Test.Labels[i] {
				wrong = append(wrong, i)
			}
		}
		sample = page.NewSample(data.Test, exportedImages, wrong)
	}
	return page.Write(w, []page.Network{{Name: n.Name(), Model: n.model}}, sample)
}
