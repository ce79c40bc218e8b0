package source

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/grid-x/modbus"

	"github.com/fieldpost/fieldpost/agent/source/registers"
)

// said is a device that answers with these bytes, whatever it is asked.
type said []byte

func (s said) Send(context.Context, []byte) ([]byte, error) {
	if len(s) < frameHead {
		return nil, errNoAnswer
	}
	if n := frameLength(s); n > 0 && n <= len(s) { // as Bus.exchange reads it
		return s[:n], nil
	}
	return nil, errNoAnswer
}

// saidOverTCP is the same on the network, where the library reads a frame of up to 260 bytes.
type saidOverTCP []byte

func (s saidOverTCP) Send(_ context.Context, request []byte) ([]byte, error) {
	if len(s) < 1 || len(s) > 253 {
		return nil, errNoAnswer
	}
	frame := append([]byte{}, request[:4]...) // transaction and protocol, which come back
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(s)+1))
	return append(append(frame, request[6]), s...), nil
}

// FuzzModbus lets a device answer anything, with a good checksum or a bad one: registers get values of their own, or none.
func FuzzModbus(f *testing.F) {
	f.Add(uint8(0), true, []byte{7, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(uint8(2), true, []byte{7, 1, 1, 0x55})
	f.Add(uint8(1), true, []byte{7, 0x84, 2})
	f.Add(uint8(3), false, []byte{7, 2, 200, 1})
	f.Fuzz(func(t *testing.T, table uint8, sound bool, answer []byte) {
		if len(answer) > maxFrame {
			t.Skip()
		}
		list := []registers.Register{
			{Field: "a", Table: registers.Tables()[table%4], Address: 10, Type: "uint16", Order: "abcd"},
			{Field: "b", Table: registers.Tables()[table%4], Address: 12, Type: "float32", Order: "cdab"},
		}
		if list[0].IsBit() {
			list[0].Type, list[1].Type = "bool", "bool"
		}
		line := modbus.NewRTUClientHandler("")
		line.SetSlave(7)
		net := modbus.NewTCPClientHandler("")
		net.SetSlave(7)
		onLine := answer
		if sound {
			onLine = binary.LittleEndian.AppendUint16(append([]byte{}, answer...), crc16(answer))
		}
		for _, client := range []modbus.Client{modbus.NewClient2(line, said(onLine)), modbus.NewClient2(net, saidOverTCP(answer))} {
			s := &Modbus{client: client}
			for _, q := range registers.Plan(list) {
				b, err := s.ask(t.Context(), q)
				if err != nil {
					continue
				}
				for i, r := range q.Wanted {
					if raw := q.Raw(i, b); raw != nil {
						_, _ = r.Value(raw)
					}
				}
			}
		}
	})
}

// crc16 is the checksum of MODBUS over Serial Line V1.02, 6.2.2.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, x := range b {
		crc ^= uint16(x)
		for range 8 {
			odd := crc&1 != 0
			if crc >>= 1; odd {
				crc ^= 0xA001
			}
		}
	}
	return crc
}
