package source_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/registers"
)

// A slave answers requests that read. Its registers hold their own address, its bits whether that is odd.
type slave struct {
	unit    byte
	missing uint16        // first address that it doesn't have; 0: it has all
	deaf    atomic.Bool   // it doesn't answer
	late    time.Duration // how long it thinks
	asked   atomic.Int32  // how often
}

// answer returns what follows the unit in a frame; nil is silence.
func (s *slave) answer(unit byte, pdu []byte) []byte {
	if unit != s.unit || s.deaf.Load() || len(pdu) != 5 {
		return nil
	}
	s.asked.Add(1)
	time.Sleep(s.late)
	function, address, count := pdu[0], binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	if s.missing > 0 && address+count > s.missing {
		return []byte{function | 0x80, 2} // illegal data address
	}
	if function <= 2 {
		bits := make([]byte, (count+7)/8)
		for i := range count {
			bits[i/8] |= byte((address+i)&1) << (i % 8)
		}
		return append([]byte{function, byte(len(bits))}, bits...)
	}
	out := []byte{function, byte(2 * count)}
	for i := range count {
		out = binary.BigEndian.AppendUint16(out, address+i)
	}
	return out
}

// crc16 is the checksum of a frame on a serial line (MODBUS over Serial Line, 6.2.2).
func crc16(b []byte) []byte {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			odd := crc&1 == 1
			if crc >>= 1; odd {
				crc ^= 0xa001
			}
		}
	}
	return binary.LittleEndian.AppendUint16(nil, crc)
}

// serveRTU answers on a serial line; all requests that read have 8 bytes. Each answer comes in two pieces.
func serveRTU(t *testing.T, line *os.File, slaves ...*slave) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		request := make([]byte, 8)
		for {
			if _, err := io.ReadFull(line, request); err != nil {
				return
			}
			if string(crc16(request[:6])) != string(request[6:]) {
				t.Errorf("request % x has a wrong checksum", request)
			}
			for _, s := range slaves {
				if pdu := s.answer(request[0], request[1:6]); pdu != nil {
					frame := append([]byte{request[0]}, pdu...)
					frame = append(frame, crc16(frame)...)
					line.Write(frame[:4])
					line.Write(frame[4:])
				}
			}
		}
	}()
	t.Cleanup(func() { line.Close(); <-ended })
}

// serveTCP answers on the network, and returns the address.
func serveTCP(t *testing.T, s *slave) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection, which the source closes
				defer c.Close()
				head := make([]byte, 7)
				for {
					if _, err := io.ReadFull(c, head); err != nil {
						return
					}
					pdu := make([]byte, binary.BigEndian.Uint16(head[4:])-1)
					if _, err := io.ReadFull(c, pdu); err != nil {
						return
					}
					if out := s.answer(head[6], pdu); out != nil {
						binary.BigEndian.PutUint16(head[4:], uint16(len(out)+1))
						c.Write(append(head[:7:7], out...))
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func register(field, table string, address uint16, kind string) registers.Register {
	return registers.Register{Field: field, Table: table, Address: address, Type: kind, Order: "abcd", Scale: 1}
}

// meter is what the tests read: all tables, and registers in the wrong order.
var meter = []registers.Register{
	register("b", "holding", 7, "uint16"), register("a", "holding", 3, "uint32"), register("c", "input", 500, "int16"),
	register("on", "coil", 9, "bool"), register("off", "discrete", 10, "bool"),
}

const meterSays = `dev/x {"b":7,"a":196612,"c":500,"on":true,"off":false}`

func newModbus(t *testing.T, s *sink, change func(*source.ModbusConfig)) *source.Modbus {
	t.Helper()
	cfg := source.ModbusConfig{ReadingConfig: common(t, s, reading.Rule{}), Unit: 5, Timeout: 200 * time.Millisecond,
		Interval: 50 * time.Millisecond, Registers: meter}
	change(&cfg)
	m, err := source.NewModbus(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newBus(t *testing.T, slaves ...*slave) *source.Bus {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rs485")
	line := plug(t, name)
	rawLine(t, line)
	serveRTU(t, line, slaves...)
	bus, err := source.NewBus(name, 115200, "8N1")
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// rawLine makes the terminal pass bytes on as they are, before anybody has opened it.
func rawLine(t *testing.T, f *os.File) {
	t.Helper()
	fd := int(f.Fd())
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	termios.Iflag, termios.Oflag, termios.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, termios); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // Fd has made it blocking; Close must end a Read
		t.Fatal(err)
	}
}

func TestModbusTCP(t *testing.T) {
	s, device := &sink{}, &slave{unit: 5}
	m := newModbus(t, s, func(cfg *source.ModbusConfig) { cfg.Address = serveTCP(t, device) })
	launch(t, m)
	awaitPayload(t, s, meterSays)
	device.deaf.Store(true)
	awaitError(t, m, "coil registers from 9")
	device.deaf.Store(false)
	eventually(t, "the device again", func() bool { return m.Status().Error == "" })
	if st := m.Status(); st.Name != "modbus:x" || st.Refused != 0 || st.Accepted == 0 {
		t.Errorf("got status %+v", st)
	}
}

func TestModbusRTU(t *testing.T) {
	s, device := &sink{}, &slave{unit: 5}
	m := newModbus(t, s, func(cfg *source.ModbusConfig) { cfg.Bus = newBus(t, device) })
	launch(t, m)
	awaitPayload(t, s, meterSays)
	device.deaf.Store(true)
	awaitError(t, m, "no answer in time")
	device.deaf.Store(false)
	eventually(t, "the device again", func() bool { return m.Status().Error == "" })
}

// Two devices on one line take turns.
func TestModbusSharedLine(t *testing.T) {
	bus := newBus(t, &slave{unit: 5}, &slave{unit: 6})
	sinks := []*sink{{}, {}}
	for i, s := range sinks {
		m := newModbus(t, s, func(cfg *source.ModbusConfig) {
			cfg.Bus, cfg.Unit, cfg.Interval, cfg.Timeout = bus, byte(5+i), 10*time.Millisecond, patience
		})
		defer launch(t, m)()
	}
	for _, s := range sinks {
		eventually(t, "ten readings", func() bool { return len(s.all()) >= 10 })
		for _, p := range s.payloads() {
			if p != meterSays {
				t.Errorf("got %s, want %s", p, meterSays)
			}
		}
	}
}

// An answer that comes after its time must not be taken for that of the next request, which it looks like.
func TestModbusLateAnswerIsNotBelieved(t *testing.T) {
	s, device := &sink{}, &slave{unit: 5, late: 600 * time.Millisecond}
	m := newModbus(t, s, func(cfg *source.ModbusConfig) {
		cfg.Bus = newBus(t, device)
		cfg.Timeout, cfg.Interval = 500*time.Millisecond, time.Millisecond
		cfg.Registers = []registers.Register{register("a", "holding", 1, "uint16"), register("b", "holding", 100, "uint16")}
	})
	stop := launch(t, m)
	awaitError(t, m, "no answer in time")
	eventually(t, "several requests, each answered after its time", func() bool { return device.asked.Load() >= 4 })
	stop()
	for _, p := range s.payloads() {
		t.Errorf("got %s, though no answer came in time", p)
	}
}

// Registers that the device doesn't have don't keep the others back, nor does a value that is no number.
func TestModbusPartOfTheRegisters(t *testing.T) {
	for name, change := range map[string]func(*source.ModbusConfig){
		"tcp": func(cfg *source.ModbusConfig) { cfg.Address = serveTCP(t, &slave{unit: 5, missing: 400}) },
		"rtu": func(cfg *source.ModbusConfig) { cfg.Bus = newBus(t, &slave{unit: 5, missing: 400}) },
	} {
		s := &sink{}
		m := newModbus(t, s, change)
		stop := launch(t, m)
		awaitPayload(t, s, `dev/x {"b":7,"a":196612,"on":true,"off":false}`)
		awaitError(t, m, "input registers from 500")
		stop()
		if got := m.Status(); got.Refused != 0 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestModbusNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	m := newModbus(t, &sink{}, func(cfg *source.ModbusConfig) { cfg.Address = ln.Addr().String() })
	launch(t, m)
	awaitError(t, m, "connection refused")
	bus, err := source.NewBus("/does/not/exist", 9600, "8E1")
	if err != nil {
		t.Fatal(err)
	}
	m = newModbus(t, &sink{}, func(cfg *source.ModbusConfig) { cfg.Bus = bus })
	launch(t, m)
	awaitError(t, m, "/does/not/exist does not exist")
}

// What talks nonsense on the line is told from a device.
func TestModbusNoise(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rs485")
	line := plug(t, name)
	rawLine(t, line)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 100)
		for {
			if _, err := line.Read(b); err != nil {
				return
			}
			line.Write([]byte{0xff, 0x55, 0, 1, 2, 3})
		}
	}()
	t.Cleanup(func() { line.Close(); <-ended })
	bus, err := source.NewBus(name, 9600, "8N1")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	m := newModbus(t, s, func(cfg *source.ModbusConfig) { cfg.Bus = bus })
	launch(t, m)
	awaitError(t, m, "begins like none")
	if len(s.all()) != 0 {
		t.Errorf("got %q", s.payloads())
	}
}

func TestModbusConfig(t *testing.T) {
	for name, change := range map[string]func(*source.ModbusConfig){
		"nowhere":      func(*source.ModbusConfig) {},
		"no registers": func(cfg *source.ModbusConfig) { cfg.Address, cfg.Registers = "a:1", nil },
		"bad register": func(cfg *source.ModbusConfig) {
			cfg.Address, cfg.Registers = "a:1", []registers.Register{register("a", "coil", 1, "int16")}
		},
	} {
		cfg := source.ModbusConfig{ReadingConfig: common(t, &sink{}, reading.Rule{}), Unit: 1, Timeout: 1, Interval: 1, Registers: meter}
		change(&cfg)
		if _, err := source.NewModbus(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := source.NewBus("/dev/x", 9600, "9N1"); err == nil {
		t.Error("mode 9N1: no error")
	}
}
