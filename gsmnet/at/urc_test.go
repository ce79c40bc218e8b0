package at_test

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// choppy gives what the port has in pieces.
type choppy struct {
	*fake
	cut func(most int) int
}

func (c choppy) Read(p []byte) (int, error) { return c.fake.Read(p[:c.cut(len(p))]) }

// chops are ways to read: all there is, byte by byte, a few bytes.
func chops() map[string]func(int) int {
	r := rand.New(rand.NewPCG(7, 7))
	return map[string]func(int) int{
		"whole":        func(n int) int { return n },
		"byte by byte": func(int) int { return 1 },
		"cut":          func(n int) int { return 1 + r.IntN(min(n, 12)) },
	}
}

// Whatever stands around the reply in one piece, and however the port cuts it: the owner who waits for Ready after Do has every URC, once
// and in order. Nothing else is said afterwards that could bring a forgotten one along.
func TestFL6_URCsAroundAReplyReachAnOwnerThatWaits(t *testing.T) {
	const header = "\r\n+QIRD: 1.2.3.4:70,TCP,22\r\n"
	for _, c := range []struct {
		name, line string
		payload    string
		said       string // by the module, when it has the line
		then       string // and behind the payload
		counted    bool
		want       []string
	}{
		{name: "behind the result", line: "AT+X", said: "\r\nOK\r\n\r\nRING\r\n", want: []string{"RING"}},
		{name: "before it", line: "AT+X", said: "\r\nRING\r\n\r\nOK\r\n", want: []string{"RING"}},
		{name: "around it", line: "AT+X", said: "\r\nRING\r\n\r\nOK\r\n\r\nCLOSED\r\n\r\n+PDP DEACT\r\n",
			want: []string{"RING", "CLOSED", "+PDP DEACT"}},
		{name: "between echo and answer", line: "AT+X", said: "AT+X\r\r\n+CREG: 2\r\n\r\nOK\r\n\r\n+CREG: 1\r\n",
			want: []string{"+CREG: 2", "+CREG: 1"}},
		{name: "behind a refusal", line: "AT+X", said: "\r\n+CME ERROR: 3\r\n\r\nCLOSED\r\n", want: []string{"CLOSED"}},
		{name: "between prompt and data", line: "AT+QISEND=5", payload: "hello", said: "\r\n> \r\nRING\r\n",
			then: "\r\nCLOSED\r\n\r\nSEND OK\r\n\r\n+PDP DEACT\r\n", want: []string{"RING", "CLOSED", "+PDP DEACT"}},
		{name: "around counted data that spells one", line: "AT+QIRD=0,1,0,1024", counted: true,
			said: "\r\n+QIRDI: 0,1,0\r\n" + header + "\r\nCLOSED\r\n> \r\n+PDP\r\n" + "\r\n\r\nRING\r\n\r\nOK\r\n\r\nCLOSED\r\n",
			want: []string{"+QIRDI: 0,1,0", "RING", "CLOSED"}},
	} {
		for name, cut := range chops() {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				for range 150 {
					f := newFake(func(f *fake, line string) {
						f.expects, f.done = len(c.payload), c.then
						f.say(c.said)
					})
					var urcs []string
					d := at.New(choppy{f, cut}, at.Config{URC: func(tok at.Token) { urcs = append(urcs, tok.Text) }})
					cmd := at.Command{Line: c.line, Timeout: 10 * time.Second, Counted: c.counted, Accept: sendOrFinal}
					if c.payload != "" {
						cmd.Payload = []byte(c.payload)
					}
					r, err := d.Do(cmd)
					if err != nil && !strings.Contains(c.said, "ERROR") {
						t.Fatal(err)
					}
					if c.counted && (len(r.Data) != 1 || len(r.Data[0]) != 22) {
						t.Fatalf("got data %q", r.Data)
					}
					limit := time.After(10 * time.Second)
					for len(urcs) < len(c.want) {
						select {
						case <-d.Ready():
							d.Drain()
						case <-limit:
							t.Fatalf("only %q has come", urcs)
						}
					}
					if diff := cmp.Diff(c.want, urcs); diff != "" {
						t.Fatal(diff)
					}
					d.Stop()
					f.close()
					d.Wait()
				}
			})
		}
	}
}

func sendOrFinal(line string) at.Verdict {
	if line == "SEND OK" {
		return at.Done
	}
	return at.Final(line)
}

// A port that ends tells an owner that waits, after what came before.
func TestFL1_ReadyTellsOfTheEndOfThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(obliging)
		d, urcs := start(t, f)
		f.mu.Lock()
		f.say("\r\nCLOSED\r\n")
		f.mu.Unlock()
		synctest.Wait()
		f.close()
		for <-d.Ready(); d.Drain(); <-d.Ready() {
		}
		if diff := cmp.Diff([]string{"CLOSED"}, *urcs); diff != "" {
			t.Error(diff)
		}
		if err := d.Err(); err == nil || !strings.Contains(err.Error(), io.EOF.Error()) {
			t.Errorf("got %v, want the port's error", err)
		}
	})
}

// Half a line that has come when the dialogue is synchronised anew is the beginning of a line all the same.
func TestFL6_AURCCutByAResynchronisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const urc = "\r\n+PDP DEACT\r\n"
		for cut := range len(urc) {
			f := newFake(func(f *fake, line string) {
				switch line {
				case "AT+SLOW":
					f.say(urc[:cut])
				case "AT+CSQ":
					f.say(urc[cut:])
					obliging(f, line)
				default:
					obliging(f, line)
				}
			})
			d, urcs := start(t, f)
			d.Do(at.Command{Line: "AT+SLOW", Timeout: time.Second})
			if _, err := d.Do(at.Command{Line: "AT+NEXT", Timeout: time.Second}); err != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
			if !slices.Equal(*urcs, []string{"+PDP DEACT"}) {
				t.Errorf("cut at %d: got %q", cut, *urcs)
			}
		}
	})
}
