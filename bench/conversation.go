package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// conversation is with a process that works when it is asked to: a line asks, a
// line of JSON answers.
type conversation struct {
	cmd    *exec.Cmd
	ask    io.WriteCloser
	answer *bufio.Reader
	errs   *tail
}

// begin starts the process.
func (c *conversation) begin(cmd *exec.Cmd) error {
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
	c.answer = bufio.NewReader(out)
	return cmd.Start()
}

// read reads an answer.
func (c *conversation) read(answer any) error {
	line, err := c.answer.ReadBytes('\n')
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
	c.ask.Close()
	return c.cmd.Wait()
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
