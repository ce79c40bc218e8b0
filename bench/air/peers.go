package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// bench is one wire, a folder, and the programs that run at its ends.
type bench struct {
	*wire
	options
	certs  string // the folder of the certificates
	dir    string
	procs  []*exec.Cmd
	broker *exec.Cmd // the cloud
}

func newBench(number int, certs string, o options) (*bench, error) {
	dir := filepath.Join(certs, fmt.Sprint(number))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	var log io.Writer
	if o.packets {
		log = os.Stderr
	}
	w, err := newWire(number, log)
	if err != nil {
		return nil, err
	}
	return &bench{wire: w, options: o, certs: certs, dir: dir}, nil
}

// program runs one in a namespace; it ends with this one.
func (b *bench) program(space string, args ...string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner, error) {
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
	if err := os.WriteFile(file, []byte("user root\nallow_anonymous true\nmax_queued_messages 0\n"+text), 0o644); err != nil {
		return nil, err
	}
	c, _, _, err := b.program(space, path, "-c", file)
	time.Sleep(time.Second)
	return c, err
}

// cloud starts the broker at the far end.
func (b *bench) cloud() (err error) {
	b.broker, err = b.mosquitto(b.spaces[1], "cloud", fmt.Sprintf("max_inflight_messages 0\nlistener 1883 %s\nlistener 8883 %s\ncafile %s\ncertfile %s\nkeyfile %s\n",
		cloudIP, cloudIP, b.cert("ca.pem"), b.cert("server.pem"), b.cert("server.key")))
	return err
}

// kill ends it, and its connections.
func (b *bench) kill() {
	_ = b.broker.Process.Kill()
	_ = b.broker.Wait()
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }
func (b *bench) cert(name string) string { return filepath.Join(b.certs, name) }

// sender is what publishes readings over the wire, once it is connected.
type sender struct {
	in   io.Writer
	out  *bufio.Scanner
	stop func()
}

// begin publishes n readings, 0: all that it has, with a pause after each.
func (s sender) begin(n int, pause time.Duration) error {
	_, err := fmt.Fprintln(s.in, n, int64(pause))
	return err
}

// end waits until its publisher has heard that all are taken, and returns how many there were.
func (s sender) end() (n int, err error) {
	if !s.out.Scan() {
		return 0, errors.New("the publisher has ended")
	}
	if _, err := fmt.Sscanf(s.out.Text(), "done %d", &n); err != nil {
		return 0, fmt.Errorf("the publisher said %q", s.out.Text())
	}
	return n, nil
}

// send publishes n readings with a pause after each, and returns the IP bytes a reading until all is quiet.
func (b *bench) send(s sender, n int, pause time.Duration) (float64, error) {
	before := b.settled()
	if err := s.begin(n, pause); err != nil {
		return 0, err
	}
	n, err := s.end()
	return float64(b.settled()-before) / float64(n), err
}

// start runs a peer and connects it; payloads as the publisher's.
func (b *bench) start(how setup, payloads string) (sender, error) {
	begin := map[string]func(setup, string) (sender, error){agent: b.fieldpost, mosquitto: b.bridge, paho: b.paho}[how.peer]
	return begin(how, payloads)
}

// feeder publishes to a broker, over the wire or to a local listener.
func (b *bench) feeder(url, payloads string, more ...string) (sender, error) {
	self, err := os.Executable()
	if err != nil {
		return sender{}, err
	}
	c, in, out, err := b.program(b.spaces[0], append([]string{self, "publish", "-url", url, "-payloads", payloads}, more...)...)
	if err != nil {
		return sender{}, err
	}
	if !out.Scan() || out.Text() != "ready" {
		return sender{}, fmt.Errorf("the publisher can't reach %s", url)
	}
	return sender{in, out, func() { stop(c) }}, nil
}

// paho is the client used plainly.
func (b *bench) paho(how setup, payloads string) (sender, error) {
	keepalive := []string{"-keepalive", fmt.Sprint(how.keepAlive())}
	if how.secure {
		return b.feeder("ssl://"+cloudIP+":8883", payloads, append(keepalive, "-ca", b.cert("ca.pem"))...)
	}
	return b.feeder("tcp://"+cloudIP+":1883", payloads, keepalive...)
}

// bridge is mosquitto's as it ships, with 20 messages on their way at most, fed over its local listener.
func (b *bench) bridge(how setup, payloads string) (sender, error) {
	port, more := "1883", ""
	if how.secure {
		port, more = "8883", "bridge_cafile "+b.cert("ca.pem")+"\n"
	}
	c, err := b.mosquitto(b.spaces[0], "bridge", fmt.Sprintf("listener 1884 127.0.0.1\nconnection cloud\naddress %s:%s\ntopic # out 1\n"+
		"bridge_attempt_unsubscribe false\nnotifications false\ntry_private false\ncleansession false\nkeepalive_interval %.0f\n%s",
		cloudIP, port, how.keepAlive().Seconds(), more))
	return b.fed(c, err, payloads)
}

// fed is a program with a local listener and a feeder for it.
func (b *bench) fed(c *exec.Cmd, err error, payloads string) (sender, error) {
	if err != nil {
		return sender{}, err
	}
	b.settled()
	s, err := b.feeder("tcp://127.0.0.1:1884", payloads)
	if err != nil {
		stop(c)
		return sender{}, err
	}
	end := s.stop
	s.stop = func() { end(); stop(c) }
	return s, nil
}

// keepAlive is that of all peers: the longest that the guides of modules allow, but for when pings are measured.
func (how setup) keepAlive() time.Duration { return cmp.Or(how.keepalive, 540*time.Second) }

// data is where the agent keeps its queue.
func (b *bench) data() string { return b.file("data") }

// agentConfig writes the agent's configuration.
func (b *bench) agentConfig(how setup) (string, error) {
	url, presence := "mqtt://"+cloudIP+":1883", `"off"`
	if how.secure {
		url = "mqtts://" + cloudIP + ":8883"
	}
	if how.presence {
		presence = `""`
	}
	text := fmt.Sprintf("device: dev-00042\ndata_dir: %s\nlink: system\nbroker: {url: %q, ca_file: %q, keepalive: %v}\nweb: {listen: off}\n"+
		"presence: {topic: %s}\nsources: {http: {listen: off}}\nencoding: %s\n",
		b.data(), url, b.cert("ca.pem"), how.keepAlive(), presence, cmp.Or(how.format, "{format: plain}"))
	file := b.file("agent.yaml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// fieldpost is the agent, fed over its local listener.
func (b *bench) fieldpost(how setup, payloads string) (sender, error) {
	c, err := b.runAgent(how)
	return b.fed(c, err, payloads)
}

func (b *bench) runAgent(how setup) (*exec.Cmd, error) {
	file, err := b.agentConfig(how)
	if err != nil {
		return nil, err
	}
	c, _, _, err := b.program(b.spaces[0], b.binary, "run", "--config", file)
	if err != nil {
		return nil, err
	}
	for range 60 {
		time.Sleep(time.Second)
		if exec.Command(b.binary, "status", "--config", file).Run() == nil {
			return c, nil
		}
	}
	return nil, errors.New("the agent does not connect within a minute")
}
