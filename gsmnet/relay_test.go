package gsmnet_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// damage is what a serial line does to bytes: the share of those that are lost, come twice, or have a bit flipped.
type damage struct{ lose, double, flip float64 }

// relay is a bad cable: a pseudo terminal for the driver, wired to the module's.
type relay struct {
	path           string
	toHost         atomic.Pointer[damage]
	toModule       atomic.Pointer[damage]
	hit            atomic.Uint64 // bytes that were damaged
	master, module *os.File
	movers         sync.WaitGroup
}

func newRelay(t *testing.T, modulePath string, seed uint64) *relay {
	t.Helper()
	master, path := openPTY(t)
	module, err := os.OpenFile(modulePath, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{path: path, master: master, module: module}
	r.toHost.Store(&damage{})
	r.toModule.Store(&damage{})
	// Held open, so that the driver may close its end and open it again.
	slave, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.movers.Go(func() { r.move(master, module, &r.toModule, rand.New(rand.NewPCG(seed, 1))) })
	r.movers.Go(func() { r.move(module, master, &r.toHost, rand.New(rand.NewPCG(seed, 2))) })
	t.Cleanup(func() {
		slave.Close()
		module.Close()
		master.Close()
		r.movers.Wait()
	})
	return r
}

// move ends when either file is closed.
func (r *relay) move(from, to *os.File, how *atomic.Pointer[damage], dice *rand.Rand) {
	b := make([]byte, 256)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		d := how.Load()
		out := make([]byte, 0, 2*n)
		for _, c := range b[:n] {
			switch x := dice.Float64(); {
			case x < d.lose:
				r.hit.Add(1)
			case x < d.lose+d.double:
				r.hit.Add(1)
				out = append(out, c, c)
			case x < d.lose+d.double+d.flip:
				r.hit.Add(1)
				out = append(out, c^1<<dice.IntN(8))
			default:
				out = append(out, c)
			}
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}

// relayed is a driver behind a relay.
type relayed struct {
	*gsmnet.Modem
	*relay
	far *far
}

func newRelayed(t *testing.T, seed uint64) *relayed {
	t.Helper()
	cfg := fast()
	cfg.Baud, cfg.Seed = 115200, seed
	f := newFar()
	cfg.Dial = f.dial
	module := gsmsim.New(cfg)
	t.Cleanup(func() { module.Close() })
	modulePath, err := module.PTY("")
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, modulePath, seed)
	port, err := gsmnet.OpenPort(r.path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gsmnet.Open(port, gsmnet.Config{Baud: 115200, CommandTimeout: time.Second, PromptTimeout: time.Second, SendTimeout: 2 * time.Second, Linger: time.Second, SafetyPoll: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); drain(f) })
	return &relayed{m, r, f}
}

// dial makes a connection over a line that is good for so long, and damaged from then on.
func (r *relayed) dial(t *testing.T, toHost, toModule damage) (c net.Conn, f net.Conn) {
	t.Helper()
	r.toHost.Store(&damage{})
	r.toModule.Store(&damage{})
	var err error
	for range 5 { // what the damage has left behind may take a dial or two to clear
		drain(r.far)
		if c, err = r.DialContext(t.Context(), "tcp", "192.0.2.1:1883"); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("over a good line again: %v", err)
	}
	f = <-r.far.conns
	r.toHost.Store(&toHost)
	r.toModule.Store(&toModule)
	return c, f
}

// TestRelayTowardsTheHost: what the driver reads is a beginning of what the server has sent, whatever the line does to what the
// module says; with flipped bits every byte is in its place. Either all of it comes or the connection ends with an error.
func TestRelayTowardsTheHost(t *testing.T) {
	for name, d := range map[string]damage{"lost": {lose: 0.0002}, "doubled": {double: 0.0002}, "flipped": {flip: 0.0003}} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				r := newRelayed(t, seed)
				whole, broken := 0, 0
				for try := 0; try < 6 || whole == 0 && try < 40; try++ {
					c, f := r.dial(t, d, damage{})
					sent := randomBytes(seed+uint64(whole+broken), 3000)
					go f.Write(sent)
					got := make([]byte, len(sent))
					c.SetReadDeadline(time.Now().Add(30 * time.Second))
					n, err := io.ReadFull(c, got)
					if err == nil {
						whole++
					} else {
						broken++
					}
					if d.flip == 0 && !bytes.Equal(got[:n], sent[:n]) {
						t.Fatalf("the %d bytes that came are no beginning of those that were sent", n)
					}
					// A flipped bit inside the payload is nothing that the line's own protocol could notice.
					if wrong := differing(got[:n], sent); wrong > n/50 {
						t.Fatalf("%d of %d bytes are wrong: they are shifted", wrong, n)
					}
					c.Close()
					f.Close()
				}
				if whole == 0 || r.hit.Load() == 0 {
					t.Errorf("%d came whole, %d bytes were damaged: the test shows nothing", whole, r.hit.Load())
				}
				t.Logf("%d whole, %d ended with an error, %d bytes damaged", whole, broken, r.hit.Load())
			})
		}
	}
}

func differing(got, want []byte) int {
	n := 0
	for i := range got {
		if got[i] != want[i] {
			n++
		}
	}
	return n
}

// TestRelayUnderTLS: bytes that change between the host and the module, where TCP's checksum doesn't reach, never pass TLS, in
// whichever direction.
func TestRelayUnderTLS(t *testing.T) {
	server, client := selfSigned(t)
	for name, d := range map[string]damage{"lost": {lose: 0.0001}, "doubled": {double: 0.0001}, "flipped": {flip: 0.0001}, "all": {0.00003, 0.00003, 0.00003}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelayed(t, 7)
			whole, broken := 0, 0
			for try := 0; try < 6 || whole == 0 && try < 40; try++ {
				c, f := r.dial(t, d, d)
				want := randomBytes(uint64(try), 3000)
				var rec record
				served := make(chan struct{})
				go func() {
					defer close(served)
					rec.echo(tls.Server(f, server))
				}()
				s := tls.Client(c, client)
				deadline := time.Now().Add(20 * time.Second)
				s.SetDeadline(deadline)
				go s.Write(want) // ends with the deadline at the latest
				got := make([]byte, len(want))
				n, err := io.ReadFull(s, got)
				if err == nil {
					whole++
				} else {
					broken++
				}
				if !bytes.Equal(got[:n], want[:n]) {
					t.Fatalf("the %d bytes that came back are no beginning of those that were sent", n)
				}
				r.toHost.Store(&damage{})
				r.toModule.Store(&damage{})
				c.Close()
				f.Close()
				<-served
				rec.mu.Lock()
				if !bytes.HasPrefix(want, rec.b) {
					t.Errorf("the server took %d bytes that are no beginning of those that were sent", len(rec.b))
				}
				rec.mu.Unlock()
			}
			if whole == 0 || r.hit.Load() == 0 {
				t.Errorf("%d came whole, %d bytes were damaged: the test shows nothing", whole, r.hit.Load())
			}
			t.Logf("%d whole, %d ended with an error, %d bytes damaged", whole, broken, r.hit.Load())
		})
	}
}

// selfSigned makes a certificate for broker.example, and who trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"broker.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "broker.example", CurvePreferences: []tls.CurveID{tls.X25519}}
}
