package gsmnet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// serialPort is a serial port without the traps of what it is built on: nothing reaches the system after Close, when the number of
// the open file may belong to another one; a Write that gets nowhere ends; a timeout of the read below is no result; a port that
// was unplugged does not look as if we had closed it.
type serialPort struct {
	path string
	port serial.Port
	lock *os.File // holds the flock for as long as the port is open
	baud atomic.Int64

	writes chan []byte
	wrote  chan error
	idle   chan struct{} // closed when the last call has left the port after Close

	mu     sync.Mutex // never held across anything that blocks
	inside int        // guarded by mu: calls that are in the port, and 1 more until Close
	closed bool       // guarded by mu
	dead   error      // guarded by mu: why the port is given up
}

const (
	// readTick is how often a waiting Read looks whether the port was closed.
	readTick = 250 * time.Millisecond
	// writeSlack is how long a write may take beyond what its bytes take on the line.
	writeSlack = 10 * time.Second
)

// OpenPort opens a serial port, 8N1 without flow control, and locks it against other programs. The errors say what is wrong and what
// to do: port missing, no permission, held by another process. One Read, one Write and Close may be called at the same time.
func OpenPort(path string, baud int) (io.ReadWriteCloser, error) {
	const op = "open the serial port"
	lock, err := lockPort(path)
	if err != nil {
		return nil, &Error{CausePort, op, err}
	}
	p, err := serial.Open(path, &serial.Mode{BaudRate: baud})
	if err == nil {
		if err = p.SetReadTimeout(readTick); err != nil { // once: the library does not guard it
			p.Close()
		}
	}
	if err != nil {
		lock.Close()
		return nil, &Error{CausePort, op, explainOpen(path, baud, err)}
	}
	s := &serialPort{path: path, port: p, lock: lock, inside: 1,
		writes: make(chan []byte), wrote: make(chan error, 1), idle: make(chan struct{})}
	s.baud.Store(int64(baud))
	go s.writer() // ends when Close closes writes, and the write under way lets go
	return s, nil
}

// explainOpen turns what the system says into what a person can do.
func explainOpen(path string, baud int, err error) error {
	var code *serial.PortError
	isCode := func(c serial.PortErrorCode) bool { return errors.As(err, &code) && code.Code() == c }
	switch {
	case errors.Is(err, fs.ErrNotExist), isCode(serial.PortNotFound):
		return fmt.Errorf("%s does not exist: is the module plugged in? ls -l /dev/serial/by-id shows what there is: %w", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission), isCode(serial.PermissionDenied):
		return fmt.Errorf("no permission for %s: add the user to the port's group (often dialout) and log in again: %w", path, fs.ErrPermission)
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EWOULDBLOCK), isCode(serial.PortBusy):
		who := "another process"
		switch pid := portHolder(path); {
		case pid == os.Getpid():
			return fmt.Errorf("%s is still in use by this process (%d), where a write hangs in its driver: plug it in anew, or restart the "+
				"program: %w", path, pid, syscall.EBUSY)
		case pid > 0:
			who = fmt.Sprintf("process %d (%s)", pid, processName(pid))
		}
		return fmt.Errorf("%s is in use by %s: stop it, or tell it to leave this port alone: %w", path, who, syscall.EBUSY)
	case isCode(serial.InvalidSpeed):
		return fmt.Errorf("%s can't do %d baud: %w", path, baud, err)
	case isCode(serial.InvalidSerialPort), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENOTTY):
		return fmt.Errorf("%s is not a serial port that works: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// enter counts a call into the port, or says why it must not be made.
func (s *serialPort) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return os.ErrClosed
	case s.dead != nil:
		return s.dead
	}
	s.inside++
	return nil
}

func (s *serialPort) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside--; s.inside == 0 {
		close(s.idle)
	}
}

// lost says that the port has failed and stays so. The library reports our own Close and an unplugged device alike, so our flag
// decides which it was.
func (s *serialPort) lost(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	if s.dead == nil {
		s.dead = fmt.Errorf("%s is gone (unplugged?): %w", s.path, err)
	}
	return s.dead
}

// Read returns bytes as soon as there are any.
func (s *serialPort) Read(p []byte) (int, error) {
	for {
		n, err := s.readOnce(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *serialPort) readOnce(p []byte) (n int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	defer func() {
		// The library panics when its file has a number over 1023, for which select has no room.
		if r := recover(); r != nil {
			n, err = 0, s.lost(fmt.Errorf("too many open files for the serial library: %v", r))
		}
	}()
	n, err = s.port.Read(p)
	if err != nil {
		return n, s.lost(err)
	}
	return n, nil
}

// Write returns when the system has taken all of p. If it does not within the time that the bytes need and some more, the port is
// dead: nothing can free a write that hangs in the driver.
func (s *serialPort) Write(p []byte) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	limit := time.NewTimer(writeSlack + time.Duration(len(p)*10)*time.Second/time.Duration(max(s.baud.Load(), 300)))
	defer limit.Stop()
	s.writes <- append([]byte(nil), p...) // the writer is free: each Write waits for it, and a dead port lets no other in
	select {
	case err := <-s.wrote:
		if err != nil {
			return 0, s.lost(err)
		}
		return len(p), nil
	case <-limit.C:
		s.mu.Lock()
		s.dead = fmt.Errorf("%s takes no bytes: the module is off, or holds its flow control line", s.path)
		err := s.dead
		s.mu.Unlock()
		return 0, err
	}
}

// writer leaves the port for each Write that has entered it, when the driver lets go, which may be long after Write has given up.
func (s *serialPort) writer() {
	for p := range s.writes {
		err := s.writeAll(p)
		s.leave()
		s.wrote <- err
	}
}

// writeAll goes on after short writes and interrupted ones.
func (s *serialPort) writeAll(p []byte) error {
	for len(p) > 0 {
		n, err := s.port.Write(p)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
		p = p[n:]
	}
	return nil
}

// SetBaud changes the speed of an open port.
func (s *serialPort) SetBaud(baud int) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.port.SetMode(&serial.Mode{BaudRate: baud}); err != nil {
		return fmt.Errorf("%s: set %d baud: %w", s.path, baud, err)
	}
	s.baud.Store(int64(baud))
	return nil
}

// Close waits until nobody is in the port any more, a few read ticks at most, and closes it. A port with a write that hangs is not
// closed before the driver lets go of it: its file number must not be reused under the write.
func (s *serialPort) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return os.ErrClosed
	}
	s.closed = true
	dead := s.dead
	s.mu.Unlock()
	s.leave()
	if dead != nil {
		s.port.ResetOutputBuffer() // frees a hanging write on some drivers
	}
	limit := time.NewTimer(4 * readTick)
	defer limit.Stop()
	select {
	case <-s.idle:
		return s.release()
	case <-limit.C:
		go func() { // ends when the driver lets go, and then the port can be opened again
			<-s.idle
			s.release()
		}()
		return fmt.Errorf("gsmnet: %s: a write hangs in the driver; the port stays in use until that lets go", s.path)
	}
}

// release gives the port back, when nobody is in it.
func (s *serialPort) release() error {
	close(s.writes)
	err := s.port.Close()
	s.lock.Close()
	return err
}
