package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// simulated is a module on a pseudo terminal that dials this machine.
func simulated(t *testing.T, cfg gsmsim.Config) (m *gsmsim.Module, port string) {
	t.Helper()
	cfg.Baud = 115200
	cfg.Radio = gsmsim.Radio{Up: 200_000, Down: 200_000, RTT: 10 * time.Millisecond}
	cfg.Network.Register, cfg.Network.Attach = 100*time.Millisecond, 100*time.Millisecond
	cfg.Timing = gsmsim.Timing{Boot: 200 * time.Millisecond, Activate: 100 * time.Millisecond, LogOff: time.Second}
	m = gsmsim.New(cfg)
	t.Cleanup(func() { m.Close() })
	port, err := m.PTY(filepath.Join(t.TempDir(), "modem"))
	if err != nil {
		t.Fatal(err)
	}
	return m, port
}

func TestModemBesideTheAgent(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	module, port := simulated(t, gsmsim.Config{})
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"mqtt://%s\"}\n", port, broker.addr))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	if _, stderr, code := call(t, "send", "--config", s.conf, "site/a", "1"); code != 0 {
		t.Fatalf("send: %s", stderr)
	}

	stdout, stderr, code := call(t, "modem", "at", "AT+CSQ", "--config", s.conf)
	if code != 0 || stdout != "+CSQ: 21,0\nOK\n" {
		t.Errorf("at: exit code %d, %q, %s", code, stdout, stderr)
	}
	stdout, _, code = call(t, "modem", "at", "AT+CSQ", "--json", "--config", s.conf)
	if got := decode(t, stdout); code != 0 || got["schema"] != float64(1) || fmt.Sprint(got["lines"]) != "[+CSQ: 21,0]" {
		t.Errorf("at --json: exit code %d, %s", code, stdout)
	}
	for command, want := range map[string]int{"AT+QICLOSE": exitUsage, "ATZ": exitUsage, "CSQ": exitUsage, "AT+NONSENSE": exitFailed} {
		if _, stderr, code := call(t, "modem", "at", command, "--config", s.conf); code != want {
			t.Errorf("at %s: exit code %d, want %d: %s", command, code, want, stderr)
		} else if command == "AT+QICLOSE" {
			says(t, stderr, "--force")
		}
	}
	if _, stderr, code := call(t, "modem", "at", "AT+CPIN=\"1234\"", "--force", "--config", s.conf); code != exitUsage {
		t.Errorf("a PIN by force: exit code %d: %s", code, stderr)
	}
	stdout, _, code = call(t, "modem", "info", "--config", s.conf)
	if code != 0 {
		t.Errorf("info: exit code %d", code)
	}
	says(t, stdout, "Quectel_M95", "001017000000017", "890010…0018", "TEST NETWORK", "-71 dBm, good", "home", "2842", "0461", "10.64.", time.Now().UTC().Format("2006-01-"))
	stdout, _, _ = call(t, "modem", "info", "--full", "--json", "--config", s.conf)
	if got := decode(t, stdout); got["iccid"] != "89001010000000000018" || got["signal_dbm"] != float64(-71) || got["port"] != port {
		t.Errorf("info --full --json: %s", stdout)
	}

	eventually(t, "the doctor finds nothing, and the message was proved", 40*time.Second, func() bool {
		stdout, _, code = call(t, "doctor", "--config", s.conf)
		return code == 0 && strings.Contains(stdout, "+ puback")
	})
	says(t, stdout, "the agent runs", "+ port", "+ lock", "+ at", "+ sim", "+ registration", "+ signal        -71 dBm", "+ attach", "+ ip", "+ dns", "+ tcp", "+ mqtt", "+ puback")
	if strings.Contains(stdout, "fix:") {
		t.Errorf("a fix where nothing is wrong:\n%s", stdout)
	}

	// A restart through the agent, once; the second is too early, or the first connection has ended the row.
	boots := module.Stats().Boots
	if stdout, stderr, code := call(t, "modem", "reset", "--config", s.conf); code != 0 {
		t.Errorf("reset: exit code %d, %s%s", code, stdout, stderr)
	}
	if got := module.Stats().Boots - boots; got != 1 {
		t.Errorf("the module booted %d times, want once", got)
	}
	if _, stderr, code := call(t, "modem", "reset", "--hard", "--config", s.conf); code != exitUsage {
		t.Errorf("reset --hard without a way: exit code %d, %s", code, stderr)
	}
	eventually(t, "the agent is back", time.Minute, func() bool {
		_, _, code := call(t, "status", "--config", s.conf)
		return code == 0
	})
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
}

func TestModemWithoutAnAgent(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	module, port := simulated(t, gsmsim.Config{})
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"mqtt://%s\"}\n", port, broker.addr))
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := call(t, "modem", "at", "AT+GSN", "--config", s.conf)
	if code != 0 || stdout != "001017000000017\nOK\n" {
		t.Errorf("at: exit code %d, %q, %s", code, stdout, stderr)
	}
	stdout, _, code = call(t, "modem", "info", "--json", "--config", s.conf)
	if got := decode(t, stdout); code != 0 || got["model"] != "Quectel_M95" || got["ip"] != nil {
		t.Errorf("info: exit code %d, %s", code, stdout)
	}
	stdout, stderr, code = call(t, "doctor", "--config", s.conf)
	if code != 0 {
		t.Errorf("doctor: exit code %d, %s", code, stderr)
	}
	says(t, stdout, "+ port", "+ lock", "+ at            Quectel_M95", "+ sim           ready, 890010…0018", "+ registration  home, TEST NETWORK",
		"+ signal        -71 dBm", "+ attach", "+ ip            address 10.64.", ". dns           not needed", "+ tcp           connected to", "+ mqtt", "+ puback")
	boots := module.Stats().Boots
	if _, stderr, code := call(t, "modem", "reset", "--config", s.conf); code != 0 || module.Stats().Boots != boots+1 {
		t.Errorf("reset: exit code %d, %d boots, %s", code, module.Stats().Boots-boots, stderr)
	}
	if _, stderr, code := call(t, "modem", "reset", "--config", s.conf); code != exitTemporary || !strings.Contains(stderr, "G9.4") {
		t.Errorf("reset at once again: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := call(t, "modem", "reset", "--force", "--config", s.conf); code != 0 || module.Stats().Boots != boots+2 {
		t.Errorf("forced reset: exit code %d, %d boots, %s", code, module.Stats().Boots-boots, stderr)
	}
}

func TestModemPorts(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := call(t, "modem", "ports", "--json")
	got := decode(t, stdout)
	if _, ok := got["ports"].([]any); code != 0 || !ok || got["schema"] != float64(1) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if stdout, _, code := call(t, "modem", "ports"); code != 0 || stdout == "" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}

// TestTrace runs the agent with --trace and finds the dialogue in the file without the secrets.
func TestTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker := startMosquitto(t, "")
	_, port := simulated(t, gsmsim.Config{SIM: gsmsim.SIM{PIN: "4711"}})
	pin, password := writeFile(t, filepath.Join(dir, "pin"), "4711\n"), writeFile(t, filepath.Join(dir, "password"), "hunter22-of-the-broker\n")
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example, pin_file: %s}\nbroker: {url: \"mqtt://%s\", username: pump-07, password_file: %s}\n",
		port, pin, broker.addr, password))
	trace := filepath.Join(dir, "trace.txt")
	agent := fieldpost(t, "agent", "run", "--config", s.conf, "--trace", trace)
	agent.waitFor(`"connected"`, time.Minute)
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	says(t, string(b), "# ", `-> "AT+CPIN=\"0000\"\r"`, "-> \"AT+QIOPEN=", "SEND OK", "pump-07")
	for _, secret := range []string{"4711", "hunter22"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("the trace shows %q", secret)
		}
	}
	info, err := os.Stat(trace)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	wired := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	if _, stderr, code := call(t, "run", "--config", wired.conf, "--trace", trace); code != exitUsage || !strings.Contains(stderr, "no serial line") {
		t.Errorf("without a module: exit code %d, %s", code, stderr)
	}
}
