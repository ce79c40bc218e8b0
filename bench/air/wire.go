package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	edgeIP, cloudIP = "10.98.0.1", "10.98.0.2"
	mtu             = 1400
	roundTrip       = 600 * time.Millisecond
)

// rates are bytes a second, up and down.
var rates = [2]float64{3000, 4500}

// wire is the link between the two namespaces.
type wire struct {
	spaces [2]string // edge and cloud
	tuns   [2]*os.File
	pumps  sync.WaitGroup

	log   io.Writer // a line for each packet; nil: none
	begun time.Time

	mu    sync.Mutex
	bytes [2]int // IP bytes, up and down
	sent  int    // bytes up above TCP
}

// newWire makes the namespaces and begins to carry packets.
func newWire(number int, log io.Writer) (*wire, error) {
	w := &wire{log: log, begun: time.Now()}
	for i, ip := range []string{edgeIP, cloudIP} {
		w.spaces[i] = fmt.Sprintf("fp-air-%d-%d-%d", os.Getpid(), number, i)
		device := fmt.Sprintf("fp%d-%d-%d", os.Getpid(), number, i) // the kernel takes 15 bytes
		if err := w.join(i, device, ip); err != nil {
			w.close()
			return nil, err
		}
	}
	for i := range w.tuns {
		w.pumps.Go(func() { w.carry(i) })
	}
	return w, nil
}

// join makes one namespace with one end of the wire in it.
func (w *wire) join(i int, device, ip string) error {
	f, err := openTUN(device)
	if err != nil {
		return fmt.Errorf("TUN device: %w", err)
	}
	w.tuns[i] = f
	space := w.spaces[i]
	for _, line := range []string{
		"ip netns add " + space,
		"ip link set " + device + " netns " + space,
		"ip -n " + space + " link set lo up",
		"ip -n " + space + " addr add " + ip + "/24 dev " + device,
		fmt.Sprintf("ip -n %s link set %s mtu %d up", space, device, mtu),
		"ip netns exec " + space + " sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_no_metrics_save=1",
	} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
}

func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (w *wire) close() {
	for _, f := range w.tuns {
		if f != nil {
			f.Close()
		}
	}
	w.pumps.Wait()
	for _, s := range w.spaces {
		if s != "" {
			_ = exec.Command("ip", "netns", "del", s).Run()
		}
	}
}

// carry takes packets from one end to the other until that end is closed.
func (w *wire) carry(from int) {
	type packet struct {
		due  time.Time
		data []byte
	}
	way := make(chan packet, 1024)
	var out sync.WaitGroup
	out.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			_, _ = w.tuns[1-from].Write(p.data)
		}
	})
	defer out.Wait()
	defer close(way)
	var free time.Time
	buf := make([]byte, 2*mtu)
	for {
		n, err := w.tuns[from].Read(buf)
		if err != nil {
			return
		}
		if !isTCP(buf[:n]) {
			continue
		}
		w.mu.Lock()
		w.counted(from, buf[:n])
		w.mu.Unlock()
		if now := time.Now(); free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(float64(n) / rates[from] * float64(time.Second)))
		way <- packet{free.Add(roundTrip / 2), append([]byte(nil), buf[:n]...)}
	}
}

// counted counts a packet, and writes it down if that is wanted; mu is held.
func (w *wire) counted(from int, p []byte) {
	head := int(p[0]&15) * 4
	data := len(p) - head - int(p[head+12]>>4)*4
	w.bytes[from] += len(p)
	if from == 0 {
		w.sent += data
	}
	if w.log == nil {
		return
	}
	var flags string
	for bit, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK"} {
		if p[head+13]>>bit&1 == 1 {
			flags += " " + name
		}
	}
	fmt.Fprintf(w.log, "%s %8.3f s  %-4s %4d B, %4d of data,%s\n", w.spaces[0], time.Since(w.begun).Seconds(),
		[2]string{"up", "down"}[from], len(p), data, flags)
}

// isTCP leaves out what kernels say to one another.
func isTCP(p []byte) bool {
	return len(p) >= 40 && p[0]>>4 == 4 && p[9] == unix.IPPROTO_TCP && int(binary.BigEndian.Uint16(p[2:])) == len(p)
}

// count is the IP bytes so far, both ways.
func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes[0] + w.bytes[1]
}

// sentUp is what was sent up so far, above TCP.
func (w *wire) sentUp() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// settled waits until the wire has been silent for two seconds and returns the count.
func (w *wire) settled() int { return steady(w.count, 2*time.Second) }

// steady waits until a count has not changed for so long and returns it.
func steady(count func() int, long time.Duration) int {
	const look = time.Second
	last := count()
	for same := time.Duration(0); same < long; same += look {
		time.Sleep(look)
		if now := count(); now != last {
			last, same = now, -look
		}
	}
	return last
}
