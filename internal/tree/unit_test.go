package tree_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The service gets what the agent needs and nothing more. systemd isn't there to be asked, so the file is read.
func TestUnitGivesNoMoreThanNeeded(t *testing.T) {
	settings := make(map[string][]string)
	for line := range strings.Lines(read(t, "configs/fieldpost.service")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	for name, want := range map[string]string{
		"User": "fieldpost", "UMask": "0077", "StateDirectoryMode": "0700", "ConfigurationDirectoryMode": "0750",
		"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict", "ProtectHome": "yes",
		"PrivateTmp": "yes", "DevicePolicy": "closed", "MemoryDenyWriteExecute": "yes", "LockPersonality": "yes",
		"RestrictNamespaces": "yes", "RestrictSUIDSGID": "yes", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
		"SystemCallArchitectures": "native", "SystemCallFilter": "@system-service ~@privileged @resources",
		"IPAddressDeny": "any", "IPAddressAllow": "localhost", "ProtectProc": "invisible", "ProtectClock": "yes",
		"LimitNOFILE": "512", "LimitCORE": "0", "MemoryMax": "256M", "TasksMax": "128", "Environment": "GOTRACEBACK=single",
		"WatchdogSec": "60", "Restart": "always", "RestartPreventExitStatus": "78", "StartLimitIntervalSec": "0",
	} {
		got, set := settings[name]
		if !set || strings.Join(got, " ") != want {
			t.Errorf("configs/fieldpost.service: %s is %q, want %q", name, strings.Join(got, " "), want)
		}
	}
}

// No setting and no code path switches the check of the broker's certificate off.
func TestNothingSwitchesTheCertificateCheckOff(t *testing.T) {
	off := regexp.MustCompile(`InsecureSkipVerify(:[ \t]*\w|[ \t]*=[^=])`)
	if !off.MatchString("tls.Config{InsecureSkipVerify: "+"true}") || off.MatchString("case !c.InsecureSkipVerify:\n") {
		t.Fatal("the check doesn't work")
	}
	for _, path := range tracked(t) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil && !os.IsNotExist(err) { // deleted, and not committed yet
			t.Fatal(err)
		}
		if off.Match(text) {
			t.Errorf("%s switches the check of certificates off", path)
		}
	}
}
