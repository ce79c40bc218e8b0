package mqttconn_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// These tests run in real time against a real broker, and wait for events only.

// patience is how long an event may take on a loaded machine.
const patience = 30 * time.Second

// program finds a program of the Mosquitto packages.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name) // where Debian keeps the broker, often not in PATH
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is missing: install the Debian packages mosquitto and mosquitto-clients, or run scripts/test, which does", name)
		}
	}
	return path
}

// mosquitto is a broker on a port of its own, with its session kept on disk.
type mosquitto struct {
	address string
	config  string
	path    string
	process *exec.Cmd
	log     bytes.Buffer
}

func startMosquitto(t *testing.T, config string) *mosquitto {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{address: l.Addr().String(), path: program(t, "mosquitto")}
	l.Close()
	dir := t.TempDir()
	m.config = filepath.Join(dir, "mosquitto.conf")
	// Mosquitto 2.0.11 does not go on sending what it had queued beyond its in-flight limit when it was restarted.
	config = fmt.Sprintf("listener %d 127.0.0.1\nuser root\npersistence true\npersistence_location %s/\nmax_inflight_messages 2000\n%s\n",
		l.Addr().(*net.TCPAddr).Port, dir, config)
	if err := os.WriteFile(m.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	t.Cleanup(func() {
		m.stop()
		if t.Failed() {
			t.Logf("mosquitto's log:\n%s", m.log.String())
		}
	})
	return m
}

func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	m.process = exec.Command(m.path, "-c", m.config)
	m.process.Stderr = &m.log
	if err := m.process.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", m.address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal("mosquitto does not listen")
}

// stop ends the broker, which then saves its sessions.
func (m *mosquitto) stop() {
	_ = m.process.Process.Signal(syscall.SIGTERM)
	_ = m.process.Wait()
}

// subscriber is mosquitto_sub with a session that the broker keeps while it is away, at QoS 2.
func (m *mosquitto) subscriber(t *testing.T, more ...string) *exec.Cmd {
	t.Helper()
	_, port, _ := net.SplitHostPort(m.address)
	args := []string{"-h", "127.0.0.1", "-p", port, "-i", "cloud", "-c", "-q", "2", "-t", "site/#"}
	return exec.Command(program(t, "mosquitto_sub"), append(args, more...)...)
}

// subscribe lets the subscriber subscribe and go away, so that the broker collects.
func (m *mosquitto) subscribe(t *testing.T) {
	t.Helper()
	if out, err := m.subscriber(t, "-E").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_sub: %v\n%s", err, out)
	}
}

// collected brings the subscriber back for what has arrived, up to and including the last message.
func (m *mosquitto) collected(t *testing.T, last string) []string {
	t.Helper()
	cmd := m.subscriber(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if lines = append(lines, scan.Text()); scan.Text() == last {
			break
		}
	}
	if !tooLong.Stop() {
		t.Errorf("%q did not arrive within %v", last, patience)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return lines
}

// tcpConn counts acknowledged bytes by what the kernel still holds.
type tcpConn struct {
	*net.TCPConn
	written atomic.Uint64
	cutAt   uint64 // breaks off after so many bytes; 0: never
	onCut   func()
}

func (c *tcpConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	if w := c.written.Add(uint64(n)); c.cutAt > 0 && w >= c.cutAt {
		c.onCut()
		_ = c.TCPConn.CloseWrite() // the broker gets what was written and answers in vain
		_ = c.TCPConn.CloseRead()
	}
	return n, err
}

func (c *tcpConn) Written() uint64 { return c.written.Load() }

func (c *tcpConn) WaitAcked(ctx context.Context, offset uint64) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	for {
		written, unacked, ioctl := c.written.Load(), 0, error(nil)
		if err := raw.Control(func(fd uintptr) { unacked, ioctl = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			return err
		}
		if ioctl != nil {
			return ioctl
		}
		if written-uint64(unacked) >= offset {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *mosquitto) dial(ctx context.Context) (mqttconn.Conn, error) {
	return m.dialCut(0, nil)(ctx)
}

func (m *mosquitto) dialCut(at uint64, onCut func()) mqttconn.DialFunc {
	return func(ctx context.Context) (mqttconn.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
		if err != nil {
			return nil, err
		}
		return &tcpConn{TCPConn: c.(*net.TCPConn), cutAt: at, onCut: onCut}, nil
	}
}

func readings(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint("reading ", i+1))
	}
	return list
}

// TestMosquittoRestarts restarts the broker twice in the middle of a drain at QoS 2.
func TestMosquittoRestarts(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	m.subscribe(t)

	const messages = 300
	q := newFakeQueue(2, messages)
	restarts, connections := 0, 0
	for begin := time.Now(); time.Since(begin) < patience; {
		resume, left := q.start()
		if len(left) == 0 {
			break
		}
		s, err := mqttconn.Connect(t.Context(), m.dial, mqttconn.Config{ClientID: "pump-07", Journal: q, Resume: resume})
		if err != nil {
			t.Fatal(err) // the broker is up whenever this is reached
		}
		connections++
		if connections > 1 && !s.SessionPresent() {
			t.Error("mosquitto has lost the session")
		}
		restarted := make(chan struct{})
		go func() {
			defer close(restarted)
			if restarts == 2 {
				return
			}
			for s.Stats().Proven < 30 && s.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			m.stop()
			restarts++
		}()
		q.deliver(t, s, left)
		<-restarted
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if connections <= 2 {
			m.start(t)
		}
	}
	got := m.collected(t, fmt.Sprint("reading ", messages))
	if diff := cmp.Diff(readings(messages), got); diff != "" {
		t.Errorf("exactly once and in order is broken (-want +got):\n%s", diff)
	}
	if restarts != 2 || connections < 3 {
		t.Errorf("restarts: %d, connections: %d, want 2 and at least 3", restarts, connections)
	}
}

// TestMosquittoExactlyOnce kills the sender again and again, a few bytes later each time.
func TestMosquittoExactlyOnce(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	m.subscribe(t)

	const messages = 60
	q := newFakeQueue(2, messages)
	connections := 0
	for begin := time.Now(); time.Since(begin) < 2*patience; {
		resume, left := q.start()
		if len(left) == 0 {
			break
		}
		connections++
		cut := uint64(20 + 13*connections)
		s, err := mqttconn.Connect(t.Context(), m.dialCut(cut, q.kill), mqttconn.Config{
			ClientID: "pump-07", Journal: q, Resume: resume, WindowMessages: 4,
		})
		if err != nil {
			continue
		}
		q.deliver(t, s, left)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	got := m.collected(t, fmt.Sprint("reading ", messages))
	if diff := cmp.Diff(readings(messages), got); diff != "" {
		t.Errorf("exactly once and in order is broken (-want +got):\n%s", diff)
	}
	if connections < 10 {
		t.Errorf("only %d connections: nothing was cut", connections)
	}
}

func TestMosquittoRefusesWithoutPassword(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous false")
	_, err := mqttconn.Connect(t.Context(), m.dial, mqttconn.Config{ClientID: "pump-07"})
	wantError(t, err, mqttconn.CauseCredentials, m.address, "not authorised")
	m.stop()
	_, err = mqttconn.Connect(t.Context(), m.dial, mqttconn.Config{ClientID: "pump-07"})
	wantError(t, err, mqttconn.CauseRefused, m.address, "host and port")
}

// TestMosquittoMixedUpPorts talks TLS to a port without it, and plain MQTT to one with it.
func TestMosquittoMixedUpPorts(t *testing.T) {
	plain := startMosquitto(t, "allow_anonymous true")
	cert, key := keyPair(t)
	secure := startMosquitto(t, fmt.Sprintf("allow_anonymous true\ncertfile %s\nkeyfile %s", cert, key))
	_, err := mqttconn.Connect(t.Context(), plain.dial, mqttconn.Config{ClientID: "pump-07", TLS: &tls.Config{ServerName: "127.0.0.1"}})
	if err == nil || !strings.Contains(err.Error(), "one without TLS: use the broker's TLS port") {
		t.Errorf("TLS to a plain port: got %v", err)
	}
	_, err = mqttconn.Connect(t.Context(), secure.dial, mqttconn.Config{ClientID: "pump-07"})
	if err == nil || !strings.Contains(err.Error(), "expect TLS: use mqtts://") {
		t.Errorf("plain MQTT to a TLS port: got %v", err)
	}
}

// keyPair makes the files of a certificate that signs itself.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	a := newAuthority(t)
	der, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", a.cert.Raw), write("key.pem", "EC PRIVATE KEY", der)
}
