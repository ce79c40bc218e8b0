package gsmsim_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// peer is a server's end of a connection that reads all that comes.
type peer struct {
	t    *testing.T
	conn net.Conn

	mu     sync.Mutex
	got    []byte
	err    error         // of Read: the end of the connection
	paused chan struct{} // closed to go on
	ended  time.Time
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.readAll()
	}()
	t.Cleanup(func() {
		conn.Close()
		p.resume()
		<-done
	})
	return p
}

func (p *peer) readAll() {
	b := make([]byte, 2048)
	for {
		p.mu.Lock()
		paused := p.paused
		p.mu.Unlock()
		if paused != nil {
			<-paused
		}
		n, err := p.conn.Read(b)
		p.mu.Lock()
		p.got = append(p.got, b[:n]...)
		p.err = err
		if err != nil {
			p.ended = time.Now()
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// pause makes the server read only one more piece until resume.
func (p *peer) pause() {
	synctest.Wait() // a Read is under way
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = make(chan struct{})
}

func (p *peer) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused != nil {
		close(p.paused)
		p.paused = nil
	}
}

// all returns what the server has got so far.
func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.got)
}

// wants gives what was sent a minute to arrive, and compares.
func (p *peer) wants(want string) {
	p.t.Helper()
	time.Sleep(time.Minute)
	if got := p.all(); got != want {
		p.t.Errorf("the server got %q, want %q", got, want)
	}
}

// end returns how and when the connection ended for the server, or nil.
func (p *peer) end() (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended, p.err
}
