package gsmnet_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
)

func TestFL10_StuckPortDoesNotBlockClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &stuckPort{c: make(chan struct{})}
		m, err := gsmnet.Open(p, gsmnet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		go m.Up(t.Context())
		time.Sleep(time.Second)
		begun := time.Now()
		m.Close()
		if got := time.Since(begun); got > 20*time.Second {
			t.Errorf("Close took %v", got)
		}
		close(p.c) // the driver lets go at last
	})
}

// stuckPort takes no bytes, gives none, and does not close.
type stuckPort struct{ c chan struct{} }

func (p *stuckPort) Read([]byte) (int, error)  { <-p.c; return 0, io.EOF }
func (p *stuckPort) Write([]byte) (int, error) { <-p.c; return 0, io.EOF }
func (p *stuckPort) Close() error              { <-p.c; return nil }
