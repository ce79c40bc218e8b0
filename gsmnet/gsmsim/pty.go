package gsmsim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// ptyAbsent is how often a pty looks whether somebody has opened it: the kernel has no event for
// that at the master's side.
const ptyAbsent = 10 * time.Millisecond

// ptyRoom is how many bytes wait for a host that does not read; more are lost.
const ptyRoom = 64 << 10

// ptyPort is a pseudo terminal as the host's end of the line.
type ptyPort struct {
	m      *Module
	master *os.File
	link   string
	path   string

	mu      sync.Mutex // never held while waiting for anything but a condition
	changed *sync.Cond
	out     []byte // for the host
	room    int    // bytes from the host that the line still takes
	gone    bool
	away    bool // nobody has the slave open
}

// PTY plugs in a pseudo terminal in place of what was plugged in before, and returns the path to
// open. With a link, that path becomes a symbolic link to the terminal, removed when it is
// unplugged; an existing link is replaced, any other file is an error.
//
// The terminal outlives the programs that open it: a host can close it and come back, or another
// can, and finds the module as it was left. What the module says while nobody listens is lost.
// The line runs at the module's speed; a host that sets another with termios reads
// and writes garbage. The terminal starts raw and at the module's speed.
func (m *Module) PTY(link string) (string, error) {
	master, slave, err := openPTY()
	if err != nil {
		return "", fmt.Errorf("gsmsim: open a pseudo terminal: %w", err)
	}
	p := &ptyPort{m: m, master: master, link: link, path: slave.Name(), room: lineRoom}
	p.changed = sync.NewCond(&p.mu)
	speed := m.cfg.Baud
	if speed == 0 {
		speed = wireBaud
	}
	err = makeRaw(slave, speed)
	slave.Close()
	if err == nil && link != "" {
		err = replaceLink(p.path, link)
	}
	if err != nil {
		master.Close()
		return "", err
	}
	started := m.do(func() {
		m.line.plug(p)
		m.wg.Go(p.readLoop)
		m.wg.Go(p.writeLoop)
	})
	if !started {
		p.hangUp()
		return "", errors.New("gsmsim: the module is closed")
	}
	if link != "" {
		return link, nil
	}
	return p.path, nil
}

// openPTY opens a pair whose master does not block: its Close ends a Read or Write under way.
func openPTY() (master, slave *os.File, err error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		slave.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), blocking.Name()), slave, nil
}

// replaceLink makes link point at path.
func replaceLink(path, link string) error {
	if info, err := os.Lstat(link); err == nil {
		if info.Mode()&os.ModeSymlink == 0 {
			return fmt.Errorf("gsmsim: %s is no symbolic link: choose another path or remove it: %w", link, fs.ErrExist)
		}
		if err := os.Remove(link); err != nil {
			return fmt.Errorf("gsmsim: replace the link to the pseudo terminal: %w", err)
		}
	}
	if err := os.Symlink(path, link); err != nil {
		return fmt.Errorf("gsmsim: link to the pseudo terminal: %w", err)
	}
	return nil
}

// readLoop takes what the host writes. It ends when the master is closed; Module.Close waits for it.
func (p *ptyPort) readLoop() {
	b := make([]byte, lineRoom)
	for {
		n := p.awaitRoom()
		if n == 0 {
			return
		}
		n, err := p.master.Read(b[:n])
		if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err != nil { // EIO: nobody has the slave open
			p.awaitHost()
			continue
		}
		p.mu.Lock()
		p.room -= n
		p.mu.Unlock()
		got := append([]byte(nil), b[:n]...)
		if !p.m.post(func() { p.m.line.fromHost(p, got) }) {
			return
		}
	}
}

// awaitRoom waits until the line takes bytes, and returns how many; 0 when it is gone.
func (p *ptyPort) awaitRoom() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.room == 0 && !p.gone {
		p.changed.Wait()
	}
	if p.gone {
		return 0
	}
	return p.room
}

// awaitHost waits until somebody opens the slave. What the last host did not read is lost.
func (p *ptyPort) awaitHost() {
	p.mu.Lock()
	p.away, p.out = true, nil
	p.flush() // under the lock, so that nothing comes in between; it waits for nobody
	p.mu.Unlock()
	for p.hungUp() {
		time.Sleep(ptyAbsent)
	}
	p.mu.Lock()
	p.away = false
	p.mu.Unlock()
}

// flush drops what the terminal still holds for the host.
func (p *ptyPort) flush() {
	slave, err := os.OpenFile(p.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return // the terminal is gone with its master
	}
	defer slave.Close()
	p.control(slave, func(fd int) { _ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

// hungUp tells whether nobody has the slave open.
func (p *ptyPort) hungUp() bool {
	hung := false
	p.control(p.master, func(fd int) {
		events := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(events, 0)
		hung = err == nil && events[0].Revents&unix.POLLHUP != 0
	})
	return hung
}

// control calls f with the descriptor, unless the file is closed.
func (p *ptyPort) control(file *os.File, f func(fd int)) {
	if sc, err := file.SyscallConn(); err == nil {
		_ = sc.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// writeLoop gives the host what the module sends. It ends like readLoop.
func (p *ptyPort) writeLoop() {
	for {
		b := p.awaitOutput()
		if b == nil {
			return
		}
		if _, err := p.master.Write(b); errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

func (p *ptyPort) awaitOutput() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) == 0 && !p.gone {
		p.changed.Wait()
	}
	if p.gone {
		return nil
	}
	b := p.out
	p.out = nil
	return b
}

func (p *ptyPort) put(b []byte) (lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away || p.gone {
		return len(b)
	}
	n := min(len(b), ptyRoom-len(p.out))
	p.out = append(p.out, b[:n]...)
	p.changed.Broadcast()
	return len(b) - n
}

func (p *ptyPort) taken(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.room += n
	p.changed.Broadcast()
}

func (p *ptyPort) hangUp() {
	p.mu.Lock()
	p.gone = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.master.Close()
	if target, err := os.Readlink(p.link); err == nil && target == p.path {
		os.Remove(p.link)
	}
}

// baud is the speed that the host has set with termios.
func (p *ptyPort) baud() int {
	speed := wireBaud
	p.control(p.master, func(fd int) {
		if t, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			if s, known := termiosSpeeds[t.Cflag&unix.CBAUD]; known {
				speed = s
			}
		}
	})
	return speed
}

var termiosSpeeds = map[uint32]int{
	unix.B300: 300, unix.B600: 600, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800,
	unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600,
	unix.B115200: 115200, unix.B230400: 230400, unix.B460800: 460800, unix.B921600: 921600,
}

// makeRaw puts the terminal into raw mode, eight bits without parity, at the given speed.
func makeRaw(tty *os.File, speed int) error {
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL}
	for code, s := range termiosSpeeds {
		if s == speed {
			t.Cflag |= code
		}
	}
	t.Cc[unix.VMIN] = 1
	sc, err := tty.SyscallConn()
	if err == nil {
		controlErr := sc.Control(func(fd uintptr) { err = unix.IoctlSetTermios(int(fd), unix.TCSETS, &t) })
		err = errors.Join(err, controlErr)
	}
	if err != nil {
		return fmt.Errorf("gsmsim: set up the pseudo terminal: %w", err)
	}
	return nil
}
