package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// message is a command's answer or an event of the DevTools protocol.
type message struct {
	ID        int             `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// wire is the pair of pipes to a browser. Messages end with a NUL.
type wire struct {
	out    io.WriteCloser
	in     chan message // closed when the browser has gone
	kill   func() error
	number int
}

// startWired starts a browser, which reads commands from its descriptor 3 and writes answers to 4.
func startWired(cmd *exec.Cmd) (*wire, error) {
	theirIn, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), out.Close())
	}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	w := &wire{out: out, in: make(chan message, 256), kill: cmd.Process.Kill}
	go w.read(in) // ends when the browser does, which close waits for
	return w, nil
}

func (w *wire) read(from io.ReadCloser) {
	defer close(w.in)
	defer from.Close()
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) == nil {
			w.in <- m
		}
	}
}

// call sends a command and waits for its answer; what comes before it goes to note.
func (w *wire) call(session, method string, params any, note func(message)) (json.RawMessage, error) {
	w.number++
	command := map[string]any{"id": w.number, "method": method}
	if params != nil {
		command["params"] = params
	}
	if session != "" {
		command["sessionId"] = session
	}
	text, err := json.Marshal(command)
	if err != nil {
		return nil, err
	}
	if _, err := w.out.Write(append(text, 0)); err != nil {
		return nil, err
	}
	late := time.After(patience)
	for {
		select {
		case m, ok := <-w.in:
			switch {
			case !ok:
				return nil, errors.New("the browser has ended")
			case m.ID != w.number:
				note(m)
			case m.Error != nil:
				return nil, errors.New(m.Error.Message)
			default:
				return m.Result, nil
			}
		case <-late:
			return nil, fmt.Errorf("no answer within %v", patience)
		}
	}
}

// drain hands what has arrived to note.
func (w *wire) drain(note func(message)) {
	for {
		select {
		case m, ok := <-w.in:
			if !ok {
				return
			}
			note(m)
		default:
			return
		}
	}
}

func (w *wire) close() {
	_ = w.out.Close()
	_ = w.kill()
	for range w.in { // until the reader ends
	}
}
