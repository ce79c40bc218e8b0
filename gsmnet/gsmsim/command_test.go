package gsmsim_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// FuzzCommandLine types any bytes at a module that has booted. It may refuse them and must live: a panic of its goroutine ends
// the test.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"AT", "at+csq", `AT+QIOPEN="TCP","192.0.2.1","7"`, "AT+IPR=9600&W", "AT+CPIN=1234", "AT+QISEND=5", "AT;;+QISTAT", "AT&", `AT\`,
		"\xff\xff\xffAT",  // as text, each byte that is no UTF-8 becomes three in upper case
		"\u0250\u0250at+", // and each of these letters grows from two bytes to three
		"AT+QIRD=0,1,0,99999999999999999999", `AT+CPWD="SC","1"`, "AT+QICSGP=", `AT+QIDNSGIP=""`, "AT+CFUN=1,1", "AT+QPOWD=1",
	} {
		f.Add([]byte(line))
	}
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
	f.Fuzz(func(t *testing.T, line []byte) {
		synctest.Test(t, func(t *testing.T) {
			m := gsmsim.New(gsmsim.Config{Baud: 115200, Dial: nobody})
			wire := m.Wire()
			read := make(chan struct{})
			go func() {
				defer close(read)
				io.Copy(io.Discard, wire)
			}()
			time.Sleep(10 * time.Second)
			before := m.Stats().Commands
			wire.Write([]byte("AT+CSQ\r"))
			time.Sleep(time.Second)
			if got := m.Stats().Commands - before; got != 1 {
				t.Errorf("AT+CSQ counts as %d commands: the module doesn't listen", got)
			}
			wire.Write(append(line, '\r'))
			time.Sleep(5 * time.Minute) // longer than any command takes
			m.Close()
			<-read
		})
	})
}
