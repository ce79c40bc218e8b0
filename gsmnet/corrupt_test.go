package gsmnet_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// record keeps what the server got on one connection.
type record struct {
	mu sync.Mutex
	b  []byte
}

func (r *record) echo(c net.Conn) {
	buf := make([]byte, 1024)
	for {
		n, err := c.Read(buf)
		r.mu.Lock()
		r.b = append(r.b, buf[:n]...)
		r.mu.Unlock()
		if err != nil {
			return
		}
		c.Write(buf[:n])
	}
}

// On a serial line that loses bytes, or doubles them, what Read returns is a beginning of what the server sent, however often
// connections end; and the driver comes through in the end. (A block in which one byte is lost and another doubled has the
// right length again: only TLS or a checksum of the payload can tell.)
func TestFL4_LostBytes(t *testing.T) { corrupt(t, gsmsim.Faults{LoseByte: 0.0002}) }

func TestFL5_DoubledBytes(t *testing.T) { corrupt(t, gsmsim.Faults{DoubleByte: 0.0002}) }

func corrupt(t *testing.T, faults gsmsim.Faults) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Seed: seed, Baud: 115200}, gsmnet.Config{})
				if err := r.Up(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.module.SetFaults(faults)
				whole := 0
				for try := 0; try < 40 && whole < 3; try++ {
					c, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
					if err != nil {
						drain(r.far)
						continue
					}
					f := <-r.far.conns
					var rec record
					go rec.echo(f)
					if echoed(t, c, &rec, randomBytes(seed, 4000)) {
						whole++
					}
					c.Close()
					f.Close()
				}
				if whole < 3 {
					t.Errorf("only %d of 40 connections came through: %+v", whole, r.Stats())
				}
			})
		})
	}
}

// echoed writes and reads back until all is there or the connection ends, and checks what came.
func echoed(t *testing.T, c net.Conn, rec *record, want []byte) bool {
	t.Helper()
	go c.Write(want)
	c.SetReadDeadline(time.Now().Add(10 * time.Minute))
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !bytes.HasPrefix(rec.b, got[:n]) {
		t.Errorf("read %d bytes that are no beginning of the %d that the server sent", n, len(rec.b))
	}
	return err == nil
}

// TestFL3_Garbage: noise between the lines does no harm beyond the connection it hits.
func TestFL3_Garbage(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, gsmsim.Config{Seed: seed, Baud: 115200}, gsmnet.Config{})
			c, f := r.dialed(t)
			roundTrip(t, c, f, 1000)
			r.module.SetFaults(gsmsim.Faults{FlipByte: 0.2, LoseByte: 0.05})
			time.Sleep(3 * time.Minute) // a few safety polls in the noise
			r.module.SetFaults(gsmsim.Faults{})
			c.Close()
			var err error
			for range 3 {
				ctx := t.Context()
				if _, err = r.DialContext(ctx, "tcp", "192.0.2.1:1883"); err == nil {
					break
				}
				drain(r.far)
			}
			if err != nil {
				t.Fatalf("seed %d: the driver did not recover: %v", seed, err)
			}
		})
	}
}
