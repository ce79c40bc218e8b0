package gsmnet

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPorts lays out what Linux shows of a USB converter, a board's own UART, a name without a UART and a console.
func TestPorts(t *testing.T) {
	root := t.TempDir()
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	file := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(path, target string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, target), path); err != nil {
			t.Fatal(err)
		}
	}
	file("devices/usb1/1-1/idVendor", "1a86\n")
	file("devices/usb1/1-1/idProduct", "7523\n")
	file("devices/usb1/1-1/product", "USB Serial\n")
	file("devices/usb1/1-1/1-1:1.0/ttyUSB0/port_number", "0\n")
	link("sys/ttyUSB0/device", "devices/usb1/1-1/1-1:1.0/ttyUSB0")
	file("devices/platform/uart/x", "")
	link("sys/ttyS0/device", "devices/platform/uart")
	file("sys/ttyS0/type", "4\n")
	link("sys/ttyS1/device", "devices/platform/uart")
	file("sys/ttyS1/type", "0\n")
	link("sys/ttyUSB10/device", "devices/platform/uart")
	link("sys/ttyUSB9/device", "devices/platform/uart")
	file("sys/tty0/dev", "4:0\n")
	for _, name := range []string{"ttyUSB0", "ttyUSB9", "ttyUSB10", "ttyS0", "ttyS1", "tty0"} {
		file("dev/"+name, "")
	}
	link("dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", "dev/ttyUSB0")
	link("dev/modem", "dev/ttyUSB0")
	link("dev/broken", "dev/nothing")

	got, err := ports(filepath.Join(root, "sys"), filepath.Join(root, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	dev := func(name string) string { return filepath.Join(root, "dev", name) }
	want := []PortInfo{
		{Path: dev("ttyS0")},
		{Path: dev("ttyUSB0"), Links: []string{dev("serial/by-id/usb-1a86_USB_Serial-if00-port0"), dev("modem")}, USB: "1a86:7523", Product: "USB Serial"},
		{Path: dev("ttyUSB9")},
		{Path: dev("ttyUSB10")},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ports (-want +got):\n%s", d)
	}
}

func TestPortsOfThisMachine(t *testing.T) {
	list, err := Ports()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if info, err := os.Stat(p.Path); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			t.Errorf("%+v is no device: %v", p, err)
		}
	}
}
