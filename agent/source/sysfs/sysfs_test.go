package sysfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source/sysfs"
)

// tree makes a folder of files; a content that begins with "->" makes a link.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func show(sensors []sysfs.Sensor) []string {
	var all []string
	for _, s := range sensors {
		all = append(all, fmt.Sprintf("%s/%s=%s", s.Chip, s.Name, s.Value))
	}
	return all
}

func Example() {
	root, err := os.MkdirTemp("", "hwmon")
	if err != nil {
		return
	}
	defer os.RemoveAll(root)
	os.Mkdir(filepath.Join(root, "hwmon0"), 0o755)
	os.WriteFile(filepath.Join(root, "hwmon0/name"), []byte("tmp102\n"), 0o644)
	os.WriteFile(filepath.Join(root, "hwmon0/temp1_input"), []byte("21500\n"), 0o644)
	sensors, err := sysfs.Reader{Kind: "hwmon", Path: root}.Read()
	for _, s := range sensors {
		fmt.Println(s.Chip, s.Name, s.Value, err)
	}
	// Output: tmp102 temp1 21.5 <nil>
}

const w1Good = "50 01 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 01 4b 46 7f ff 0c 10 1c t=%s\n"

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		reader sysfs.Reader
		files  map[string]string
		want   []string
		err    string // part of it; "" for none
	}{
		{"w1", sysfs.Reader{Kind: "w1"}, map[string]string{
			"28-0000000000aa/w1_slave": fmt.Sprintf(w1Good, "21062"), "10-0000000000bb/w1_slave": fmt.Sprintf(w1Good, "-1250"),
			"w1_bus_master1/name": "x", "29-0000000000cc/name": "a switch",
		}, []string{"10-0000000000bb/temperature=-1.25", "28-0000000000aa/temperature=21.062"}, ""},
		{"w1 troubles", sysfs.Reader{Kind: "w1"}, map[string]string{
			"28-0000000000aa/w1_slave": fmt.Sprintf(w1Good, "85000"), "28-0000000000bb/w1_slave": strings.Replace(fmt.Sprintf(w1Good, "1"), "YES", "NO", 1),
			"28-0000000000cc/w1_slave": fmt.Sprintf(w1Good, "20000"), "28-0000000000ee/w1_slave": "",
		}, []string{"28-0000000000cc/temperature=20"}, "is not what a thermometer shows"},
		{"w1 power on", sysfs.Reader{Kind: "w1"}, map[string]string{"28-0000000000aa/w1_slave": fmt.Sprintf(w1Good, "85000")}, nil, "before it has measured"},
		{"w1 checksum", sysfs.Reader{Kind: "w1"}, map[string]string{"28-0000000000aa/w1_slave": strings.Replace(fmt.Sprintf(w1Good, "1"), "YES", "NO", 1)}, nil, "checksum"},
		{"w1 nothing", sysfs.Reader{Kind: "w1"}, map[string]string{"w1_bus_master1/name": "x"}, nil, "no w1 sensor"},
		{"hwmon", sysfs.Reader{Kind: "hwmon"}, map[string]string{
			"hwmon0/name": "coretemp", "hwmon0/temp1_input": "41000\n", "hwmon0/temp1_label": "Package id 0", "hwmon0/temp1_crit": "100000",
			"hwmon0/in0_input": "3312", "hwmon0/fan1_input": "1200", "hwmon0/power1_input": "2500000", "hwmon0/curr1_input": "150", "hwmon0/humidity1_input": "45600",
		}, []string{"coretemp/curr1=0.15", "coretemp/fan1=1200", "coretemp/humidity1=45.6", "coretemp/in0=3.312", "coretemp/power1=2.5", "coretemp/Package id 0=41"}, ""},
		{"hwmon alike", sysfs.Reader{Kind: "hwmon"}, map[string]string{
			"hwmon0/name": "tmp102", "hwmon0/temp1_input": "1000", "hwmon0/device": "->../devices/1-0048",
			"hwmon1/name": "tmp102", "hwmon1/temp1_input": "2000", "hwmon1/device": "->../devices/1-0049",
			"hwmon2/temp1_input": "3000", "hwmon2/temp1_label": "x", "hwmon2/temp2_input": "4000", "hwmon2/temp2_label": "x",
		}, []string{"tmp102-1-0048/temp1=1", "tmp102-1-0049/temp1=2", "hwmon2/x=3", "hwmon2/x temp2=4"}, ""},
		{"hwmon fault", sysfs.Reader{Kind: "hwmon"}, map[string]string{
			"hwmon0/name": "a", "hwmon0/temp1_input": "-273000", "hwmon0/temp1_fault": "1", "hwmon0/temp2_input": "1000", "hwmon0/temp2_fault": "0",
		}, []string{"a/temp2=1"}, "fault"},
		{"match", sysfs.Reader{Kind: "hwmon", Match: []string{"a/*", "*/fan?"}}, map[string]string{
			"hwmon0/name": "a", "hwmon0/temp1_input": "1000", "hwmon1/name": "b", "hwmon1/temp1_input": "1000", "hwmon1/fan1_input": "5",
		}, []string{"a/temp1=1", "b/fan1=5"}, ""},
		{"no match", sysfs.Reader{Kind: "hwmon", Match: []string{"c/*"}}, map[string]string{"hwmon0/name": "a", "hwmon0/temp1_input": "1"}, nil, "none of the 1 sensors"},
		{"iio", sysfs.Reader{Kind: "iio"}, map[string]string{
			"iio:device0/name": "bme280", "iio:device0/in_temp_input": "21560", "iio:device0/in_humidityrelative_input": "45123.456", "iio:device0/in_pressure_input": "98.123",
			"iio:device1/name": "ads1115", "iio:device1/in_voltage0_raw": "1000", "iio:device1/in_voltage0_scale": "3", "iio:device1/in_voltage1_raw": "1000",
			"iio:device1/in_voltage_scale": "2", "iio:device1/in_voltage_offset": "10", "iio:device1/in_voltage0-voltage1_raw": "5",
			"iio:device1/in_voltage-voltage_scale": "0.125", "iio:device1/in_accel_x_raw": "100", "iio:device1/in_accel_scale": "0.01", "iio:device1/in_voltage_sampling_frequency": "8",
			"trigger0/name": "x",
		}, []string{
			"bme280/humidityrelative=45.123456", "bme280/pressure=98.123", "bme280/temp=21.56",
			"ads1115/accel_x=1", "ads1115/voltage0-voltage1=0.000625", "ads1115/voltage0=3.03", "ads1115/voltage1=2.02",
		}, ""},
		{"iio broken scale", sysfs.Reader{Kind: "iio"}, map[string]string{"iio:device0/in_temp_raw": "1", "iio:device0/in_temp_scale": "x"}, nil, `"x" is not a number`},
		{"one file", sysfs.Reader{Kind: "file", Path: "lux", Scale: 0.1}, map[string]string{"lux": " 123 \n"}, []string{"/=12.3"}, ""},
		{"some files", sysfs.Reader{Kind: "file", Path: "*/value"}, map[string]string{"a/value": "1", "b/value": "x", "c/value": "3"}, []string{"a/value=1", "c/value=3"}, "b/value"},
		{"missing file", sysfs.Reader{Kind: "file", Path: "lux"}, nil, nil, "does not exist"},
		{"no file", sysfs.Reader{Kind: "file", Path: "*/lux"}, nil, nil, "no file sensor"},
		{"not finite", sysfs.Reader{Kind: "file", Path: "lux"}, map[string]string{"lux": "NaN"}, nil, "finite"},
		{"kind", sysfs.Reader{Kind: "spi"}, nil, nil, "not one of w1"},
	} {
		c.reader.Path = filepath.Join(tree(t, c.files), c.reader.Path)
		sensors, err := c.reader.Read()
		if diff := cmp.Diff(c.want, show(sensors)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got error %v, want %q", c.name, err, c.err)
		}
	}
}

func TestNoDriver(t *testing.T) {
	_, err := sysfs.Reader{Kind: "w1", Path: "/does/not/exist"}.Read()
	if err == nil || !strings.Contains(err.Error(), "is the kernel's driver loaded?") {
		t.Errorf("got %v", err)
	}
}

// FuzzValues puts anything into the kernel's files: it becomes a number or an error.
func FuzzValues(f *testing.F) {
	f.Add(fmt.Sprintf(w1Good, "21062"), "21500", "0.5")
	f.Add("crc=00 YES\nt=", "1e400", "-")
	f.Add("crc= YES\nt=85000\x00", " 0x10 ", "NaN")
	f.Fuzz(func(t *testing.T, therm, number, scale string) {
		root := tree(t, map[string]string{
			"w1/28-0000000000aa/w1_slave": therm + "\n", "hwmon/hwmon0/temp1_input": number + "\n", "hwmon/hwmon0/name": scale + "\n",
			"iio/iio:device0/in_temp_raw": number + "\n", "iio/iio:device0/in_temp_scale": scale + "\n", "iio/iio:device0/in_temp_offset": number + "\n",
		})
		for _, kind := range []string{"w1", "hwmon", "iio"} {
			sensors, err := sysfs.Reader{Kind: kind, Path: filepath.Join(root, kind)}.Read()
			if len(sensors) == 0 && err == nil {
				t.Errorf("%s: neither a value nor an error", kind)
			}
			for _, s := range sensors {
				if _, ok := s.Value.Float(); !ok {
					t.Errorf("%s: got %v, which is no number", kind, s.Value)
				}
				if strings.Contains(s.Chip, "/") {
					t.Errorf("%s: the chip is called %q", kind, s.Chip)
				}
			}
		}
	})
}
