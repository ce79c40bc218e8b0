package at_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// FuzzInterleaver puts URCs and pushed data between the lines of replies, as order says, with any payload inside the counted blocks: each
// reply gets its own lines and data, the URCs come out once and in order, and nothing is left over.
func FuzzInterleaver(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte("OK"))
	f.Add([]byte{1, 1, 1, 1, 3, 2}, []byte("\r\nCLOSED\r\n"))
	f.Add([]byte{3, 3, 0}, []byte("\r\n+PDP DEACT\r\n> "))
	f.Add([]byte{2}, []byte("\r\n+QIRD: 1.2.3.4:70,TCP,4\r\n"))
	f.Fuzz(func(t *testing.T, order, payload []byte) {
		if len(payload) == 0 || len(payload) > largest || len(order) > 40 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) { interleave(t, order, payload) })
	})
}

func interleave(t *testing.T, order, payload []byte) {
	var want []string
	between := func() string {
		if len(order) == 0 {
			return ""
		}
		pick := order[0]
		order = order[1:]
		text := []string{"", "RING", "+QIRDI: 0,1,0", "+CREG: 2"}[pick%4]
		if pick&4 != 0 {
			header := fmt.Sprintf("IPD%dTCP:", len(payload))
			want = append(want, header+string(payload))
			return header + string(payload)
		}
		if text == "" {
			return ""
		}
		want = append(want, text)
		return "\r\n" + text + "\r\n"
	}
	f := newFake(func(f *fake, line string) {
		switch line {
		case "AT+QISACK":
			f.say(between() + "\r\n+QISACK: 9, 0, 9\r\n" + between() + "\r\nOK\r\n" + between())
		case "AT+QIRD=0,1,0,1024":
			f.say(between() + fmt.Sprintf("\r\n+QIRD: 1.2.3.4:70,TCP,%d\r\n", len(payload)) + string(payload) + "\r\n" +
				between() + "\r\nOK\r\n" + between())
		}
	})
	var urcs []string
	d := at.New(f, at.Config{URC: func(tok at.Token) { urcs = append(urcs, tok.Text+string(tok.Data)) }})
	defer func() {
		d.Stop()
		f.close()
		d.Wait()
	}()
	for range 4 {
		r, err := d.Do(at.Command{Line: "AT+QISACK", Accept: at.Prefixed("+QISACK:"), Timeout: time.Second})
		if err != nil || len(r.Lines) != 1 || r.Lines[0] != "+QISACK: 9, 0, 9" {
			t.Fatalf("AT+QISACK: %+v, %v", r, err)
		}
		r, err = d.Do(at.Command{Line: "AT+QIRD=0,1,0,1024", Accept: at.Final, Counted: true, Timeout: time.Second})
		if err != nil || len(r.Data) != 1 || !bytes.Equal(r.Data[0], payload) {
			t.Fatalf("AT+QIRD: %+v, %v", r, err)
		}
	}
	synctest.Wait()
	d.Drain()
	if diff := cmp.Diff(want, urcs); diff != "" {
		t.Error(diff)
	}
	if s := d.Stats(); s.Strays+s.Damaged+s.Timeouts > 0 {
		t.Errorf("%+v", s)
	}
}
