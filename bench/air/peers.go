package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is one run: the wire, a folder, and the programs that run at its ends.
type bench struct {
	*wire
	dir   string
	agent string // the agent's binary
	procs []*exec.Cmd
}

// start runs a program in a namespace; it ends with this one.
func (b *bench) start(space string, args ...string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner, error) {
	c := exec.Command("ip", append([]string{"netns", "exec", space}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(b.dir, fmt.Sprintf("%d.log", len(b.procs))))
	if err != nil {
		return nil, nil, nil, err
	}
	defer log.Close()
	c.Stderr = log
	in, err := c.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.Start(); err != nil {
		return nil, nil, nil, err
	}
	b.procs = append(b.procs, c)
	return c, in, bufio.NewScanner(out), nil
}

func stop(c *exec.Cmd) {
	if c == nil || c.ProcessState != nil {
		return
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(15*time.Second, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	kill.Stop()
}

func (b *bench) close() {
	for _, c := range b.procs {
		stop(c)
	}
	b.wire.close()
}

// mosquitto runs a broker with a configuration.
func (b *bench) mosquitto(space, name, text string) (*exec.Cmd, error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	file := filepath.Join(b.dir, name+".conf")
	if err := os.WriteFile(file, []byte("user root\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"+text), 0o644); err != nil {
		return nil, err
	}
	c, _, _, err := b.start(space, path, "-c", file)
	time.Sleep(time.Second)
	return c, err
}

func (b *bench) cloud() error {
	_, err := b.mosquitto(b.spaces[1], "cloud", fmt.Sprintf("listener 1883 %s\nlistener 8883 %s\ncafile %s\ncertfile %s\nkeyfile %s\n",
		cloudIP, cloudIP, b.file("ca.pem"), b.file("server.pem"), b.file("server.key")))
	return err
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// sender is what publishes readings over the wire, once it is connected.
type sender struct {
	in   io.Writer
	out  *bufio.Scanner
	stop func()
}

// send publishes n readings with a pause after each, and returns the IP bytes a reading until all is quiet.
func (b *bench) send(s sender, n int, pause time.Duration) (float64, error) {
	before := b.settled()
	if _, err := fmt.Fprintln(s.in, n, int64(pause)); err != nil {
		return 0, err
	}
	if !s.out.Scan() || s.out.Text() != "done" {
		return 0, fmt.Errorf("the publisher ended with %q", s.out.Text())
	}
	return float64(b.settled()-before) / float64(n), nil
}

// feeder publishes to a broker, over the wire or to a local listener.
func (b *bench) feeder(url, ca string) (sender, error) {
	self, err := os.Executable()
	if err != nil {
		return sender{}, err
	}
	args := []string{self, "publish", "-url", url}
	if ca != "" {
		args = append(args, "-ca", ca)
	}
	c, in, out, err := b.start(b.spaces[0], args...)
	if err != nil {
		return sender{}, err
	}
	if !out.Scan() || out.Text() != "ready" {
		return sender{}, fmt.Errorf("the publisher can't reach %s: see %s", url, b.dir)
	}
	return sender{in, out, func() { stop(c) }}, nil
}

// paho is the client used plainly.
func (b *bench) paho(secure bool) (sender, error) {
	if secure {
		return b.feeder("ssl://"+cloudIP+":8883", b.file("ca.pem"))
	}
	return b.feeder("tcp://"+cloudIP+":1883", "")
}

// bridge is mosquitto's, fed over its local listener.
func (b *bench) bridge(secure bool) (sender, error) {
	port, more := "1883", ""
	if secure {
		port, more = "8883", "bridge_cafile "+b.file("ca.pem")+"\n"
	}
	c, err := b.mosquitto(b.spaces[0], "bridge", "listener 1884 127.0.0.1\nconnection cloud\naddress "+cloudIP+":"+port+
		"\ntopic # out 1\nbridge_attempt_unsubscribe false\nnotifications false\ntry_private false\ncleansession false\nkeepalive_interval 600\n"+more)
	return b.fed(c, err)
}

// fed is a program with a local listener and a feeder for it.
func (b *bench) fed(c *exec.Cmd, err error) (sender, error) {
	if err != nil {
		return sender{}, err
	}
	b.settled()
	s, err := b.feeder("tcp://127.0.0.1:1884", "")
	if err != nil {
		return sender{}, err
	}
	end := s.stop
	s.stop = func() { end(); stop(c) }
	return s, nil
}

// agentConfig writes the agent's configuration for one kind of connection.
func (b *bench) agentConfig(secure bool) (string, error) {
	url, data := "mqtt://"+cloudIP+":1883", b.file("plain")
	if secure {
		url, data = "mqtts://"+cloudIP+":8883", b.file("tls")
	}
	text := fmt.Sprintf("device: dev-00042\ndata_dir: %s\nlink: system\nbroker: {url: %q, ca_file: %q}\nweb: {listen: off}\npresence: {topic: \"off\"}\nsources: {http: {listen: off}}\n",
		data, url, b.file("ca.pem"))
	file := data + ".yaml"
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// fieldpost is the agent, fed over its local listener.
func (b *bench) fieldpost(secure bool) (sender, error) {
	file, err := b.agentConfig(secure)
	if err != nil {
		return sender{}, err
	}
	return b.fed(b.runAgent(file))
}

func (b *bench) runAgent(file string) (*exec.Cmd, error) {
	c, _, _, err := b.start(b.spaces[0], b.agent, "run", "--config", file)
	if err != nil {
		return nil, err
	}
	for range 60 {
		time.Sleep(time.Second)
		if b.command("status", "--config", file) == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("the agent does not connect: see %s", b.dir)
}

// command runs one of the agent's commands to its end.
func (b *bench) command(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.agent, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fieldpost %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
