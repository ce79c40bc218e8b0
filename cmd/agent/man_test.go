package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestManualPages wants a page for every command, and groff to take each without a word.
func TestManualPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	if _, stderr, code := call(t, "man", dir); code != 0 {
		t.Fatalf("got exit code %d: %s", code, stderr)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("got %d pages, %v", len(pages), err)
	}
	for _, name := range []string{"fieldpost", "fieldpost-run", "fieldpost-queue-export", "fieldpost-completion-bash"} {
		if _, err := os.Stat(filepath.Join(dir, name+".1")); err != nil {
			t.Error(err)
		}
	}
	for _, page := range pages {
		cmd := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-b", "-z", page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff %s: %v\n%s", filepath.Base(page), err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), "groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", filepath.Join(dir, "fieldpost-demo.1"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	says(t, string(out), "fieldpost-demo - show the whole thing", "fieldpost demo [flags]", "--messages=INT", "readings to publish (default: 240)", "fieldpost(1)")
}

func TestManNeedsAFolder(t *testing.T) {
	t.Parallel()
	file := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	if _, stderr, code := call(t, "man", file); code != exitFailed || !strings.Contains(stderr, file) {
		t.Errorf("got exit code %d: %s", code, stderr)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	script, _, code := call(t, "completion", "bash")
	if code != 0 {
		t.Errorf("got exit code %d", code)
	}
	bash := exec.CommandContext(t.Context(), "bash", "-n")
	bash.Stdin = strings.NewReader(script)
	if out, err := bash.CombinedOutput(); err != nil {
		t.Errorf("bash doesn't take its script: %v\n%s", err, out)
	}
	for _, shell := range []string{"zsh", "fish", "powershell"} {
		if script, _, code := call(t, "completion", shell); code != 0 || !strings.Contains(script, "fieldpost") {
			t.Errorf("%s: got exit code %d, %d bytes", shell, code, len(script))
		}
	}
	for args, want := range map[string]string{
		"sta": "status\t", "queue ex": "export\t", "send --lane ": "alarm\nnormal\nbulk\n", "sim --profile ": "m95\n", "status --config ": "yaml\nyml\n",
	} {
		words := append([]string{"__complete"}, strings.Split(args, " ")...)
		if out, _, _ := call(t, words...); !bytes.HasPrefix([]byte(out), []byte(want)) {
			t.Errorf("%q: got %q, want %q first", args, out, want)
		}
	}
	if _, stderr, code := call(t, "completion", "fsh"); code != exitUsage {
		t.Errorf("got exit code %d, want %d: %s", code, exitUsage, stderr)
	}
}

// Flags are seen by everybody on the machine (ps), so none takes a secret; the configuration names files for them.
func TestNoFlagTakesASecret(t *testing.T) {
	flags := 0
	err := eachCommand(newRoot(), func(cmd *cobra.Command) error {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags++
			for _, word := range []string{"password", "secret", "token", "pin", "key"} {
				if slices.Contains(strings.Split(f.Name, "-"), word) {
					t.Errorf("%s --%s takes a secret", cmd.CommandPath(), f.Name)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if flags < 20 {
		t.Errorf("only %d flags were looked at", flags)
	}
}
