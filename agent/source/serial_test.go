package source_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// plug makes a pseudo terminal, lets name lead to it, and returns the device's end.
func plug(t *testing.T, name string) *os.File {
	t.Helper()
	device, port, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(name)
	if err := os.Symlink(port.Name(), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close(); port.Close() })
	return device
}

func newSerial(t *testing.T, s *sink, port string, rule reading.Rule, format reading.Format) *source.Serial {
	t.Helper()
	serial, err := source.NewSerial(source.SerialConfig{ReadingConfig: common(t, s, rule), Port: port, Baud: 9600, Mode: "8N1", Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

// say writes to the port once the source has opened it: what comes before is flushed.
func say(t *testing.T, device *os.File, text string) {
	t.Helper()
	eventually(t, "the port to be raw", func() bool {
		termios, err := unix.IoctlGetTermios(int(device.Fd()), unix.TCGETS)
		return err == nil && termios.Lflag&unix.ICANON == 0
	})
	if _, err := io.WriteString(device, text); err != nil {
		t.Fatal(err)
	}
}

func TestSerialFormats(t *testing.T) {
	for _, c := range []struct {
		format reading.Format
		text   string
		want   []string
	}{
		{reading.Format{}, "21.5\r\n22\n", []string{"dev/x 21.5", "dev/x 22"}},
		{reading.Format{Kind: "regex", Pattern: `W=(?P<weight>[-\d.]+) *kg`}, "\x00\xffgarbage\nW=12.50 kg\rReady\rW=-1kg\r", []string{`dev/x {"weight":12.50}`, `dev/x {"weight":-1}`}},
		{reading.Format{Kind: "csv", Columns: []string{"t", "h"}}, "1,2\n3\n4,5\n", []string{`dev/x {"t":1,"h":2}`, `dev/x {"t":4,"h":5}`}},
		{reading.Format{Kind: "json", Fields: []string{"t"}}, `{"t":1,"id":7}` + "\n", []string{`dev/x {"t":1}`}},
	} {
		s := &sink{}
		name := filepath.Join(t.TempDir(), "tty")
		device := plug(t, name)
		serial := newSerial(t, s, name, reading.Rule{}, c.format)
		stop := launch(t, serial)
		say(t, device, c.text)
		eventually(t, c.format.Kind, func() bool { return len(s.all()) >= len(c.want) })
		stop()
		if diff := cmp.Diff(c.want, s.payloads()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.format.Kind, diff)
		}
		if bad := strings.Count(c.text, "\n") + strings.Count(c.text, "\r") - strings.Count(c.text, "\r\n") - len(c.want); serial.Status().Refused != uint64(bad) {
			t.Errorf("%s: got %d lines without a meaning, want %d", c.format.Kind, serial.Status().Refused, bad)
		}
	}
}

// A port that is missing, in use or pulled out is shown, and used again when it is there.
func TestSerialPortComesAndGoes(t *testing.T) {
	s := &sink{}
	name := filepath.Join(t.TempDir(), "tty")
	serial := newSerial(t, s, name, reading.Rule{}, reading.Format{})
	launch(t, serial)
	awaitError(t, serial, name+" does not exist")
	device := plug(t, name)
	say(t, device, "1\n")
	awaitPayload(t, s, "dev/x 1")
	device.Close()
	awaitError(t, serial, "is gone (unplugged?)")
	device = plug(t, name)
	say(t, device, "2\n")
	awaitPayload(t, s, "dev/x 2")
	if e := serial.Status().Error; e != "" {
		t.Errorf("the status still shows %q", e)
	}

	other := newSerial(t, s, name, reading.Rule{}, reading.Format{})
	launch(t, other)
	awaitError(t, other, "in use by another process")
}

func TestSerialFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serial := newSerial(t, &sink{}, name, reading.Rule{}, reading.Format{})
	launch(t, serial)
	awaitError(t, serial, "is not a serial port")
}
