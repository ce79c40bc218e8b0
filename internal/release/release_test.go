// Package release_test builds the release and installs it where nothing else is.
package release_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const version = "1.2.3"

// run ends the test when the command fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// built is the release of this tree, which the tests share.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fieldpost-release-")
	if err != nil {
		return "", err
	}
	return dir, build(dir, "../..")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// release returns the folder with the packages.
func release(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// build makes the packages from the tree at root.
func build(dir, root string, arches ...string) error {
	cmd := exec.Command(filepath.Join(root, "scripts/package"), append([]string{"--version", version, "--out", dir}, arches...)...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1780000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/package: %w\n%s", err, out)
	}
	return nil
}

func TestPackagesOfAllArchitectures(t *testing.T) {
	t.Parallel()
	dir := release(t)
	for arch, machine := range map[string]string{"amd64": "x86-64", "arm64": "ARM aarch64", "armhf": "ARM, EABI5"} {
		deb := filepath.Join(dir, "fieldpost_"+version+"_"+arch+".deb")
		if got := run(t, "dpkg-deb", "--field", deb, "Package", "Version", "Architecture"); got != "Package: fieldpost\nVersion: "+version+"-1\nArchitecture: "+arch+"\n" {
			t.Errorf("%s has the fields\n%s", filepath.Base(deb), got)
		}
		root := t.TempDir()
		run(t, "dpkg-deb", "--extract", deb, root)
		binary := filepath.Join(root, "usr/bin/fieldpost")
		head, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if got := elfMachine(head); got != machine {
			t.Errorf("the binary for %s is for %q", arch, got)
		}
		for _, file := range []string{"lib/systemd/system/fieldpost.service", "lib/udev/rules.d/70-fieldpost.rules", "etc/fieldpost/config.yaml",
			"usr/share/man/man1/fieldpost.1.gz", "usr/share/bash-completion/completions/fieldpost", "usr/share/doc/fieldpost/copyright"} {
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: %v", arch, err)
			}
		}
	}
	checkBill(t, filepath.Join(dir, "fieldpost_"+version+"_armhf.cdx.json"))
	sums := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = dir
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// elfMachine reads e_machine (ELF specification, figure 4-3).
func elfMachine(head []byte) string {
	if !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return "not ELF"
	}
	return map[byte]string{0x3e: "x86-64", 0xb7: "ARM aarch64", 0x28: "ARM, EABI5"}[head[18]]
}

// checkBill wants the bill of materials to name what is compiled in, and nothing that only tests use.
func checkBill(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("%v in %.200s", err, text)
	}
	versions := make(map[string]string)
	for _, c := range bill.Components {
		versions[c.Name] = c.Version
	}
	for _, name := range []string{"go standard library", "go.etcd.io/bbolt", "github.com/eclipse/paho.mqtt.golang", "go.bug.st/serial"} {
		if versions[name] == "" {
			t.Errorf("the bill of materials lacks %s", name)
		}
	}
	for _, name := range []string{"pgregory.net/rapid", "github.com/google/go-cmp"} {
		if versions[name] != "" {
			t.Errorf("the bill of materials lists %s, which only tests use", name)
		}
	}
}

// Two builds of one source, in different places, have to be the same to the byte.
func TestBuildsAreReproducible(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	if err := os.MkdirAll(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "sh", "-c", "cd ../.. && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "+elsewhere)
	again := t.TempDir()
	if err := build(again, elsewhere, "amd64"); err != nil {
		t.Fatal(err)
	}
	first := run(t, "cat", filepath.Join(release(t), "SHA256SUMS"))
	for line := range strings.Lines(run(t, "cat", filepath.Join(again, "SHA256SUMS"))) {
		if !strings.Contains(first, line) {
			t.Errorf("of the second build, elsewhere, this is not in the first one's sums:\n%s\n%s", line, first)
		}
	}
}

// TestInstalledOnACleanSystem installs, upgrades, removes and purges the package in a Debian that has nothing else.
func TestInstalledOnACleanSystem(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	root := cleanSystem(t)
	deb := filepath.Join(release(t), "fieldpost_"+version+"_amd64.deb")
	run(t, "cp", deb, root+"/fieldpost.deb")
	inside := func(args ...string) string {
		t.Helper()
		return run(t, "chroot", append([]string{root}, args...)...)
	}
	if out := inside("dpkg", "--install", "/fieldpost.deb"); !strings.Contains(out, "systemctl enable --now fieldpost") {
		t.Errorf("installing doesn't say what to do next:\n%s", out)
	}
	if out := inside("fieldpost", "version"); !strings.Contains(out, version) {
		t.Errorf("got %q", out)
	}
	inside("fieldpost", "config", "check", "/etc/fieldpost/config.yaml")
	if out := inside("stat", "--format=%U:%G %a", "/etc/fieldpost", "/etc/fieldpost/config.yaml"); out != "root:fieldpost 750\nroot:fieldpost 640\n" {
		t.Errorf("owner and mode of the configuration are\n%s", out)
	}
	inside("sh", "-c", "echo '# mine' >>/etc/fieldpost/config.yaml && install -d -o fieldpost -m 0700 /var/lib/fieldpost && touch /var/lib/fieldpost/queue.db")
	inside("dpkg", "--install", "/fieldpost.deb") // an upgrade
	if out := inside("tail", "-n1", "/etc/fieldpost/config.yaml"); out != "# mine\n" {
		t.Errorf("an upgrade has changed the configuration: it ends in %q", out)
	}
	inside("dpkg", "--remove", "fieldpost")
	if _, err := os.Stat(root + "/usr/bin/fieldpost"); err == nil {
		t.Error("removing leaves the program")
	}
	if _, err := os.Stat(root + "/etc/fieldpost/config.yaml"); err != nil {
		t.Errorf("removing takes the configuration: %v", err)
	}
	if out := inside("dpkg", "--purge", "fieldpost"); !strings.Contains(out, "/var/lib/fieldpost is kept") {
		t.Errorf("purging doesn't say that readings are kept:\n%s", out)
	}
	if _, err := os.Stat(root + "/etc/fieldpost"); err == nil {
		t.Error("purging leaves the configuration")
	}
	if _, err := os.Stat(root + "/var/lib/fieldpost/queue.db"); err != nil {
		t.Errorf("purging takes the queue: %v", err)
	}
}

// cleanSystem makes a Debian of the essential packages and adduser. It is skipped where Debian's mirror can't be reached.
func cleanSystem(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	cmd := exec.CommandContext(t.Context(), "timeout", "300", "debootstrap", "--variant=minbase", "--include=adduser", "stable", root)
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("Failed getting release file")) || bytes.Contains(out, []byte("Couldn't download")) {
			t.Skipf("no Debian mirror can be reached:\n%s", out)
		}
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	return root
}
