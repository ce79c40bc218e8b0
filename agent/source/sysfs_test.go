package source_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/sysfs"
)

// write puts a file of the kernel into a folder.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSysfsTopics(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/hwmon/hwmon0/name", "a")
	write(t, root+"/hwmon/hwmon0/temp1_input", "1000")
	write(t, root+"/hwmon/hwmon0/temp2_input", "2000")
	write(t, root+"/hwmon/hwmon1/name", "b")
	write(t, root+"/hwmon/hwmon1/temp1_input", "3000")
	write(t, root+"/w1/28-0000000000aa/w1_slave", "crc=00 YES\nt=21500\n")
	write(t, root+"/file", "7")
	for _, c := range []struct {
		kind, topic string
		want        []string
	}{
		{"hwmon", "{device}/{source}", []string{`dev/x {"a.temp1":1,"a.temp2":2,"b.temp1":3}`}},
		{"hwmon", "{source}/{chip}", []string{`x/a {"temp1":1,"temp2":2}`, `x/b {"temp1":3}`}},
		{"hwmon", "{source}/{chip}/{field}", []string{"x/a/temp1 1", "x/a/temp2 2", "x/b/temp1 3"}},
		{"w1", "{source}", []string{`x {"28-0000000000aa":21.5}`}},
		{"w1", "{source}/{chip}/{field}", []string{"x/28-0000000000aa/temperature 21.5"}},
		{"file", "{source}", []string{"x 7"}},
	} {
		s := &sink{}
		source, err := source.NewSysfs(source.SysfsConfig{ReadingConfig: common(t, s, reading.Rule{Topic: topic(t, c.topic)}),
			Sensors: sysfs.Reader{Kind: c.kind, Path: filepath.Join(root, c.kind)}, Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		stop := launch(t, source)
		eventually(t, c.kind, func() bool { return len(s.all()) == len(c.want) })
		stop()
		if diff := cmp.Diff(c.want, s.payloads()); diff != "" {
			t.Errorf("%s %s: (-want +got)\n%s", c.kind, c.topic, diff)
		}
	}
}

// A sensor that fails is shown while the others are read; when all is well again, so is the status.
func TestSysfsPartlyBroken(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/28-0000000000aa/w1_slave", "crc=00 YES\nt=21500\n")
	write(t, root+"/28-0000000000bb/w1_slave", "crc=00 NO\nt=21500\n")
	s := &sink{}
	source, err := source.NewSysfs(source.SysfsConfig{ReadingConfig: common(t, s, reading.Rule{Change: true}),
		Sensors: sysfs.Reader{Kind: "w1", Path: root}, Interval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	launch(t, source)
	awaitPayload(t, s, `dev/x {"28-0000000000aa":21.5}`)
	awaitError(t, source, "28-0000000000bb/temperature: the checksum is wrong")
	write(t, root+"/28-0000000000bb/w1_slave", "crc=00 YES\nt=20000\n")
	awaitPayload(t, s, `dev/x {"28-0000000000aa":21.5,"28-0000000000bb":20}`)
	eventually(t, "no error", func() bool { return source.Status().Error == "" })
}
