package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"vanilla/dataset"
)

// MNIST as it is, and nothing else, is read before it is asked for.
func TestAhead(t *testing.T) {
	was := embedded
	defer func() { embedded = was }()
	for _, c := range []struct {
		args []string
		read bool
	}{{nil, true}, {[]string{"--data", "mnist"}, true}, {[]string{"--data", "digits.csv"}, false}, {[]string{"--size", "14"}, false}, {[]string{"--invert"}, false}} {
		reading := make(chan struct{}, 1)
		embedded = func() (*dataset.Dataset, error) {
			reading <- struct{}{}
			return nil, nil
		}
		flags := pflag.NewFlagSet("train", pflag.ContinueOnError)
		d := dataSource{flags: flags}
		d.addTo(flags, "mnist", dataUsage)
		if err := flags.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		d.ahead()
		if c.read {
			<-reading
			continue
		}
		select {
		case <-reading:
			t.Errorf("with %q MNIST is read", c.args)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
