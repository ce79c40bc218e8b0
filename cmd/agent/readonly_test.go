package main

import (
	"os"
	"syscall"
	"testing"
)

// TestReadOnlyFileSystem: whoever has to save what is on a dying card sees it with the commands that only read.
func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, "mode=0700,size=8m"); err != nil {
		t.Skipf("mounting a small file system: %v; this test needs root and the right to mount", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(s.data, 0); err != nil {
			t.Error(err)
		}
	})
	good(t, "send", "site/a", "21.5", "-c", s.conf)
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}

	text, stderr, code := call(t, "status", "-c", s.conf)
	if code != exitUnreachable {
		t.Errorf("status: got exit code %d, want %d: %s", code, exitUnreachable, stderr)
	}
	says(t, text, "1 message waits", "read-only")
	says(t, good(t, "queue", "stats", "-c", s.conf), "messages  1", "read-only")
	says(t, good(t, "queue", "ls", "-c", s.conf), "site/a")
	says(t, good(t, "queue", "export", "-c", s.conf), "site/a")
	for _, args := range [][]string{{"send", "site/b", "1"}, {"queue", "purge", "--all", "--yes"}} {
		if _, stderr, code = call(t, append(args, "-c", s.conf)...); code != exitTemporary {
			t.Errorf("%v: got exit code %d, want %d: %s", args, code, exitTemporary, stderr)
		}
		says(t, stderr, "read-only")
	}
}
