package gsmnet

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PortInfo describes a serial port of this machine.
type PortInfo struct {
	Path    string   // "/dev/ttyUSB0"
	Links   []string // other names, those that stay after replugging first: "/dev/serial/by-id/…"
	USB     string   // "1a86:7523" vendor and product; "": no USB device
	Product string   // what the USB device calls itself; "": nothing
	Holder  int      // process that uses it; 0: none that we may see
	Name    string   // of the process
}

// Ports lists the serial ports. It opens none of them, so that no line of them moves, and nobody is disturbed. It knows those of
// Linux; elsewhere the list is empty.
func Ports() ([]PortInfo, error) {
	list, err := ports("/sys/class/tty", "/dev")
	for i := range list {
		p := &list[i]
		if p.Holder = portHolder(p.Path); p.Holder > 0 {
			p.Name = processName(p.Holder)
		}
	}
	return list, err
}

func ports(sys, dev string) ([]PortInfo, error) {
	names, err := filepath.Glob(filepath.Join(sys, "*", "device"))
	if err != nil {
		return nil, err
	}
	links := portLinks(dev)
	var list []PortInfo
	for _, name := range names {
		tty := filepath.Dir(name)
		if attribute(tty, "type") == "0" { // the driver keeps four names ready; behind this one is nothing
			continue
		}
		p := PortInfo{Path: filepath.Join(dev, filepath.Base(tty))}
		if _, err := os.Stat(p.Path); err != nil {
			continue
		}
		p.Links = links[p.Path]
		p.USB, p.Product = usb(name)
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b PortInfo) int { return cmp.Or(len(a.Path)-len(b.Path), strings.Compare(a.Path, b.Path)) })
	return list, nil
}

// portLinks finds the other names of devices.
func portLinks(dev string) map[string][]string {
	links := make(map[string][]string)
	for _, pattern := range []string{"serial/by-id/*", "serial/by-path/*", "*"} {
		names, _ := filepath.Glob(filepath.Join(dev, pattern))
		for _, name := range names {
			if info, err := os.Lstat(name); err != nil || info.Mode()&os.ModeSymlink == 0 {
				continue
			}
			if target, err := filepath.EvalSymlinks(name); err == nil {
				links[target] = append(links[target], name)
			}
		}
	}
	return links
}

// usb looks for the USB device above a port's device in sysfs: two levels up for a converter, one for a modem class device.
func usb(device string) (ids, product string) {
	dir, err := filepath.EvalSymlinks(device)
	if err != nil {
		return "", ""
	}
	for range 4 {
		if vendor := attribute(dir, "idVendor"); vendor != "" {
			return vendor + ":" + attribute(dir, "idProduct"), attribute(dir, "product")
		}
		dir = filepath.Dir(dir)
	}
	return "", ""
}

// attribute reads a file of sysfs, "" if there is none.
func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
