package at_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// csq answers AT+CSQ and AT as every module does.
func csq(f *fake, line string) {
	switch line {
	case "AT+CSQ":
		f.say("\r\n+CSQ: 21,0\r\n\r\nOK\r\n")
	case "AT":
		f.say("\r\nOK\r\n")
	}
}

func TestAnswersThatStopShort(t *testing.T) {
	for name, c := range map[string]struct {
		says  string
		lines []string
	}{
		"an OK that tells nothing":   {"\r\nOK\r\n", nil},
		"the information without OK": {"\r\n+CGATT: 1\r\n", []string{"+CGATT: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(func(f *fake, line string) {
					if line == "AT+CGATT?" {
						f.say(c.says)
					}
					csq(f, line)
				})
				d, _ := start(t, f)
				begun := time.Now()
				r, err := d.Do(at.Command{Line: "AT+CGATT?", Accept: at.Prefixed("+CGATT:"), Timeout: 10 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.lines, r.Lines); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("taken after %v", took)
				}
				if !d.Dirty() {
					t.Error("the rest of the answer could be taken for the next command's")
				}
			})
		})
	}
}

// TestLateOKBeforeTheInformation: an OK that belongs to something else ends no question whose answer comes.
func TestLateOKBeforeTheInformation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			f.say("\r\nOK\r\n")
			f.later(500*time.Millisecond, "\r\n+CGATT: 1\r\n\r\nOK\r\n")
		})
		d, _ := start(t, f)
		r, err := d.Do(at.Command{Line: "AT+CGATT?", Accept: at.Prefixed("+CGATT:"), Timeout: 10 * time.Second})
		if err != nil || len(r.Lines) != 1 || d.Dirty() {
			t.Errorf("got %+v, %v, dirty %v, want the answer", r, err, d.Dirty())
		}
	})
}

// TestProbeThatTellsNothing: a module that answers a probe with OK alone is asked another one, and from the third time on at once.
func TestProbeThatTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := newFake(func(f *fake, line string) {
			switch line {
			case "AT+IPR?":
				f.say("\r\n+IPR: 0\r\n\r\nOK\r\n")
			case "AT+CSQ":
				asked++
				f.say("\r\nOK\r\n")
			default:
				f.say("\r\nOK\r\n")
			}
		})
		d, _ := start(t, f)
		for range 4 {
			if _, err := d.Resync(); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 2 {
			t.Errorf("the question was asked %d times, want 2", asked)
		}
	})
}

func TestTimeoutNamesTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			f.say("\r\nCONNECT OK\r\n\r\n+CLIP: \"5550100\",129\r\n\r\n5550100 called\r\n")
		})
		d, _ := start(t, f)
		_, err := d.Do(at.Command{Line: `AT+CPIN="1234"`, Timeout: 5 * time.Second})
		if !errors.Is(err, at.ErrTimeout) {
			t.Fatalf("got %v, want ErrTimeout", err)
		}
		for _, want := range []string{"AT+CPIN", "5s", `"CONNECT OK"`, "+CLIP: …"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not mention %s", err, want)
			}
		}
		for _, secret := range []string{"1234", "5550100"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q shows what is private", err)
			}
		}
	})
}
