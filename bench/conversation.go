package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// conversation is with a process that works when it is asked to: a line asks, a
// line of JSON answers.
type conversation struct {
	cmd    *exec.Cmd
	ask    io.WriteCloser
	out    io.Closer // what answer reads
	answer *bufio.Reader
	errs   *tail
	ended  bool
	failed error // of the process, once it has ended
}

// lastWords is how long a process that has nothing to answer may take to complain and
// end. Few take so long: it is there for busy machines.
const lastWords = 10 * time.Second

// begin starts the process, on one core if it is to have but one.
func (c *conversation) begin(cmd *exec.Cmd, cores int) error {
	c.cmd, c.errs = cmd, &tail{}
	cmd.Stderr = c.errs
	var err error
	if c.ask, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.out, c.answer = out, bufio.NewReader(out)
	cmd.WaitDelay = lastWords // for children of its own that outlive it
	if cores == 1 {
		return onOneCore(cmd.Start)
	}
	return cmd.Start()
}

// read reads an answer.
func (c *conversation) read(answer any) error {
	line, err := c.answer.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		// It has nothing more to say: what it complains of is there when it has ended.
		timer := time.AfterFunc(lastWords, c.kill)
		c.end()
		timer.Stop()
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(line, answer)
}

// do asks for something and reads the answer.
func (c *conversation) do(request string, answer any) error {
	if _, err := io.WriteString(c.ask, request+"\n"); err != nil {
		return fmt.Errorf("%w: %s", err, c.errs)
	}
	if err := c.read(answer); err != nil {
		return fmt.Errorf("%w: %s", err, c.errs)
	}
	return nil
}

// end lets the process end, which it does when there is nobody left to ask.
func (c *conversation) end() error {
	if !c.ended {
		c.ask.Close()
		c.failed, c.ended = c.cmd.Wait(), true
	}
	return c.failed
}

// kill ends the process at once, and whoever waits for an answer.
func (c *conversation) kill() {
	c.cmd.Process.Kill()
	c.out.Close()
}

// tail keeps the end of what is written to it.
type tail struct{ b bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if extra := t.b.Len() - 2000; extra > 0 {
		t.b.Next(extra)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.b.String()) }
