package gsmsim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestBootAtFixedSpeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{Baud: 115200, Model: gsmsim.Model{SMSReady: true}})
		h.wait("\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nCall Ready\r\n\r\nSMS Ready\r\n", time.Minute)
		h.m.Reboot()
		h.write("AT\r") // lost: the module is booting
		h.wait("\r\nRDY\r\n", time.Minute)
		h.m.RemoveSIM()
		h.m.Reboot()
		if got := h.until("NOT INSERTED\r\n", time.Minute); !strings.Contains(got, "+CPIN: NOT INSERTED") {
			t.Errorf("boot without a SIM: %q", got)
		}
	})
}

func TestAutobaud(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{})
		h.quiet(20 * time.Second) // no RDY, no Call Ready
		h.write("At\raT\r")       // neither is taken for AT
		h.quiet(time.Second)
		h.write("AT\r") // spent on finding the speed
		h.quiet(time.Second)
		h.do("AT", "AT\r\r\nOK\r\n")
		h.do("AT+IPR=115200&W", "AT+IPR=115200&W\r\r\nOK\r\n")
		h.m.Reboot()
		h.wait("\r\nRDY\r\n", time.Minute) // the speed was stored
	})
}

func TestSpeedChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.do("AT+IPR=9600", "\r\nOK\r\n") // still at the old speed
		h.write("AT\r")
		time.Sleep(time.Second)
		if got := h.take(); strings.Contains(got, "OK") {
			t.Errorf("at the wrong speed: got %q, want garbage or nothing", got)
		}
		h.wire.SetBaud(9600)
		h.write("\r")
		time.Sleep(time.Second)
		h.take()
		h.do("AT", "\r\nOK\r\n")
		h.do("AT+IPR=12345", "\r\nERROR\r\n")
		h.m.Reboot() // 9600 was not stored
		h.wire.SetBaud(115200)
		h.wait("\r\nRDY\r\n", time.Minute)
	})
}

func TestEchoAndResultCodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{Baud: 115200})
		h.until("Call Ready\r\n", time.Minute)
		time.Sleep(5 * time.Second) // attached by then
		h.do("at", "at\r\r\nOK\r\n")
		h.write("AT\r\n") // the LF is ignored
		h.wait("AT\r\r\nOK\r\n", time.Second)
		h.quiet(time.Second)
		h.do("ATE0", "ATE0\r\r\nOK\r\n") // still echoed
		h.do("AT+CSQ;+CREG?;+CGATT?", "\r\n+CSQ: 21,0\r\n\r\n+CREG: 0,1\r\n\r\n+CGATT: 1\r\n\r\nOK\r\n")
		h.do("AT+CSQ;+NOSUCH;+CREG?", "\r\n+CSQ: 21,0\r\n\r\nERROR\r\n")
		h.do("ATI", "\r\nQuectel_Ltd\r\n\r\nQuectel_M95\r\n\r\nRevision: M95FAR02A08\r\n\r\nOK\r\n")
		h.do("AT+CGMM", "\r\nQuectel_M95\r\n\r\nOK\r\n")
		h.do("AT+GSN", "\r\n001017000000017\r\n\r\nOK\r\n")
		h.do("AT+CBC", "\r\n+CBC: 0,75,3900\r\n\r\nOK\r\n")
		h.do("AT+CFUN=7", "\r\nERROR\r\n")
		h.do("AT+CMEE=1", "\r\nOK\r\n")
		h.do("AT+CFUN=7", "\r\n+CME ERROR: 53\r\n")
		h.do("AT+CMEE=2", "\r\nOK\r\n")
		h.do("AT+CFUN=7", "\r\n+CME ERROR: invalid parameters\r\n")
		h.do("AT+QIACT", "\r\nERROR\r\n") // Q commands don't know CMEE
		h.do("garbage", "\r\nERROR\r\n")
		h.do("+++AT", "\r\nOK\r\n")
		h.do("AT+QINDI=?", "\r\n+QINDI: (0-2)\r\n\r\nOK\r\n")
		h.do("AT&W", "\r\nOK\r\n")
		h.do("AT&F", "\r\nOK\r\n")
		h.do("ATZ", "ATZ\r\r\nOK\r\n")
		h.do("ATV0", "0\r")
		h.do("AT+CSQ", "+CSQ: 21,0\r\n0\r")
		h.do("AT+QISTAT", "0\rSTATE: 0\r\n")
		h.do("AT+NOSUCH", "4\r")
		h.do("ATV1", "\r\nOK\r\n")
		h.write("AT+C\bSQX\b\b\bCSQ\r")
		h.wait("\r\n+CSQ: 21,0\r\n\r\nOK\r\n", time.Second)
		h.do(strings.Repeat("x", 5000), "\r\nERROR\r\n")
	})
}

func TestSpacingHabits(t *testing.T) {
	tests := []struct {
		model gsmsim.Model
		want  string
	}{
		{gsmsim.Model{Spacing: "tight"}, "\r\n+CREG:0,1\r\n\r\nOK\r\n"},
		{gsmsim.Model{Spacing: "loose"}, "\r\n+CREG: 0, 1\r\n\r\nOK\r\n"},
		{gsmsim.Model{LeadingBlank: 1}, "\r\n\r\n+CREG: 0,1\r\n\r\nOK\r\n"},
		{gsmsim.Model{LeadingBlank: -1}, "+CREG: 0,1\r\n\r\nOK\r\n"},
	}
	for _, test := range tests {
		bubble(t, func(t *testing.T) {
			booted(t, gsmsim.Config{Model: test.model}).do("AT+CREG?", test.want)
		})
	}
}

func TestPowerKeyIsToggle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{Baud: 115200, Off: true, Timing: gsmsim.Timing{LogOff: 12 * time.Second}})
		press := func(d time.Duration) {
			h.m.SetPowerKey(true)
			time.Sleep(d)
			h.m.SetPowerKey(false)
		}
		press(500 * time.Millisecond) // too short
		h.quiet(time.Minute)
		if h.m.Status() {
			t.Fatal("on after a short press")
		}
		press(time.Second)
		if !h.m.Status() {
			t.Fatal("off after a press of 1 s")
		}
		h.until("Call Ready\r\n", time.Minute)
		press(time.Second)
		h.wait("\r\nNORMAL POWER DOWN\r\n", time.Second)
		h.write("AT\r")
		h.quiet(10 * time.Second)
		if !h.m.Status() {
			t.Error("off before the log-off could be complete")
		}
		time.Sleep(3 * time.Second)
		if h.m.Status() {
			t.Error("still on after the log-off")
		}
	})
}

func TestSwitchingOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		on := func() {
			h.m.SetPowerKey(true)
			time.Sleep(time.Second)
			h.m.SetPowerKey(false)
			h.until("Call Ready\r\n", time.Minute)
			h.do("ATE0", "ATE0\r\r\nOK\r\n")
		}
		h.do("AT+QPOWD=1", "\r\nNORMAL POWER DOWN\r\n") // no OK
		time.Sleep(12 * time.Second)
		on()
		h.do("AT+QPOWD=0", "\r\nOK\r\n")
		if h.m.Status() {
			t.Error("on after AT+QPOWD=0")
		}
		on()
		h.m.SetEmergOff(true)
		time.Sleep(50 * time.Millisecond)
		h.m.SetEmergOff(false)
		h.quiet(time.Second)
		if h.m.Status() {
			t.Error("on after EMERG_OFF")
		}
		on()
		h.do("AT+CFUN=1,1", "\r\nOK\r\n")
		h.wait("\r\nRDY\r\n", 10*time.Second)
		h.until("Call Ready\r\n", time.Minute)
		h.m.WarnVoltage("UNDER_VOLTAGE POWER DOWN")
		h.wait("\r\nUNDER_VOLTAGE POWER DOWN\r\n", time.Second)
		time.Sleep(2 * time.Second)
		h.m.SetSupply(false)
		h.m.SetPowerKey(true) // tied to ground: starts with the supply
		time.Sleep(time.Minute)
		h.m.SetSupply(true)
		h.wait("\r\nRDY\r\n", 10*time.Second)
	})
}

func TestHang(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.write("AT+QOPS?\r") // known to hang some firmware
		h.quiet(10 * time.Minute)
		h.write("AT\r")
		h.quiet(time.Minute)
		h.m.SetEmergOff(true)
		time.Sleep(100 * time.Millisecond)
		h.m.SetEmergOff(false)
		h.m.SetPowerKey(true)
		h.until("Call Ready\r\n", time.Minute)
		h.do("AT", "AT\r\r\nOK\r\n")
		if got, want := h.m.Stats().Boots, uint64(2); got != want {
			t.Errorf("booted %d times, want %d", got, want)
		}
	})
}

func TestFlowControlHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.m.SetFaults(gsmsim.Faults{HoldFlow: true})
		start := time.Now()
		go func() {
			time.Sleep(time.Hour)
			h.m.SetFaults(gsmsim.Faults{})
		}()
		h.write(strings.Repeat("\r", 10_000)) // more than the line takes
		if got := time.Since(start); got < time.Hour {
			t.Errorf("Write was held for %v, want an hour", got)
		}
		h.do("AT", "\r\nOK\r\n")
	})
}

func TestNoiseIsSeeded(t *testing.T) {
	heard := func(seed uint64) string {
		var got string
		bubble(t, func(t *testing.T) {
			h := booted(t, gsmsim.Config{Seed: seed})
			h.m.SetFaults(gsmsim.Faults{LoseByte: 0.05, DoubleByte: 0.05, FlipByte: 0.05})
			for range 20 {
				h.write("AT+CSQ\r")
				time.Sleep(time.Second)
			}
			got = h.take()
		})
		return got
	}
	first := heard(1)
	if heard(1) != first {
		t.Error("the same seed gave another noise")
	}
	if clean := strings.Repeat("\r\n+CSQ: 21,0\r\n\r\nOK\r\n", 20); first == clean || heard(2) == first {
		t.Error("the noise does nothing, or does not follow the seed")
	}
}
