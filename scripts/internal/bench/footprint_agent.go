package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// start runs an agent on the simulated module.
func (b footprintBench) start(ctx context.Context, name, broker string) (*footprintAgent, error) {
	a := &footprintAgent{binary: b.binary, conf: filepath.Join(b.dir, name+".yaml")}
	var err error
	if a.http, err = freeAddress(); err == nil {
		a.web, err = freeAddress()
	}
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("device: bench\ndata_dir: %s\nmodem: {port: sim, apn: CMNET}\nbroker: {url: \"mqtt://%s\"}\nqueue: {max_bytes: 1GiB}\nlimits: {client_messages: 0, client_bytes: 0}\n"+
		"sources: {mqtt: {listen: off}, http: {listen: \"%s\"}}\nweb: {listen: \"%s\"}\n", filepath.Join(b.dir, name), broker, a.http, a.web)
	if err := os.WriteFile(a.conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	a.cmd = exec.CommandContext(ctx, b.binary, "run", "--config", a.conf)
	a.cmd.Stderr = &a.errOut
	if a.process, err = watch(a.cmd); err != nil {
		return nil, err
	}
	return a, a.answers(ctx)
}

// footprintAgent is an agent that is measured.
type footprintAgent struct {
	binary, conf, http, web string
	cmd                     *exec.Cmd
	process                 *watched
	errOut                  bytes.Buffer
}

func (a *footprintAgent) stop() {
	_ = a.cmd.Process.Signal(os.Interrupt)
	_ = a.cmd.Wait()
}

// answers waits for the page.
func (a *footprintAgent) answers(ctx context.Context) error {
	return a.poll(ctx, "the page answers", func() bool {
		_, err := a.get(ctx)
		return err == nil
	})
}

// connected waits for the broker's CONNACK, and until what comes once is over.
func (a *footprintAgent) connected(ctx context.Context) error {
	err := a.poll(ctx, "it is connected", func() bool {
		status, err := a.get(ctx)
		return err == nil && status.Link.Connected
	})
	if err != nil {
		return err
	}
	return sleep(ctx, settling)
}

func (a *footprintAgent) waiting(ctx context.Context) (int, error) {
	status, err := a.get(ctx)
	return status.Queue.Messages, err
}

// agentStatus is what is read of an agent's status.
type agentStatus struct {
	Link  struct{ Connected bool }
	Queue struct{ Messages int }
}

// get asks for the status.
func (a *footprintAgent) get(ctx context.Context) (status agentStatus, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.web+"/api/v1/status", nil)
	if err != nil {
		return status, err
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, err
	}
	defer resp.Body.Close()
	return status, json.NewDecoder(resp.Body).Decode(&status)
}

// poll waits for what happens within a minute of a start.
func (a *footprintAgent) poll(ctx context.Context, what string, happened func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !happened() {
		if sleep(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("waiting in vain that %s; the agent's log:\n%s", what, a.errOut.Bytes())
		}
	}
	return nil
}

// cpuShare is the processor time in percent of one core over idleFor.
func (a *footprintAgent) cpuShare(ctx context.Context) (float64, error) {
	before, err := a.process.cpu()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := sleep(ctx, idleFor); err != nil {
		return 0, err
	}
	after, err := a.process.cpu()
	return 100 * (after - before).Seconds() / time.Since(begun).Seconds(), err
}

// openPage follows the page as a browser does.
func (a *footprintAgent) openPage(ctx context.Context) (io.Closer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.web+"/live", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the page's stream: %s", resp.Status), resp.Body.Close())
	}
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }() // ends when the body is closed
	return resp.Body, nil
}

// fill posts n messages of 100 bytes.
func (a *footprintAgent) fill(ctx context.Context, n int) error {
	payload := strings.Repeat("x", 90)
	var body bytes.Buffer
	for posted := 0; posted < n; posted += backlogBatch {
		body.Reset()
		for i := range min(backlogBatch, n-posted) {
			fmt.Fprintf(&body, `{"topic":"site/bench/sensor-%03d/pressure","payload":"%010d%s"}`+"\n", i%200, posted+i, payload)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.http+"/v1/messages", &body)
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("a batch was answered by %s: %s", resp.Status, text)
		}
	}
	return nil
}

// startMosquitto starts a broker that takes everything; the function returned ends it.
func startMosquitto(ctx context.Context, dir string) (addr string, stop func(), err error) {
	if addr, err = freeAddress(); err != nil {
		return "", nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "mosquitto", "-c", conf)
	if cmd.Err != nil {
		cmd.Path, cmd.Err = "/usr/sbin/mosquitto", nil // where Debian keeps it, which isn't on everybody's path
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("mosquitto, the Debian package of that name: %w", err)
	}
	return addr, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// sleep returns early, with an error, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
