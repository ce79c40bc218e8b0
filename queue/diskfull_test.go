package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// smallDisk mounts a file system of a few MiB, which takes root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("mounting a small file system: %v; this test needs root and the right to mount", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes a file until the disk has no room left, and returns its name.
func fillUp(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "others")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return name
}

func TestDiskFilledByOthers(t *testing.T) {
	t.Run("tmpfs", func(t *testing.T) { diskFilledByOthers(t, smallDisk(t, "6m")) })
	t.Run("ext4", func(t *testing.T) {
		dir, _ := ramDisk(t, "16M")
		diskFilledByOthers(t, dir)
	})
}

func diskFilledByOthers(t *testing.T, dir string) {
	path := filepath.Join(dir, "queue.db")
	q := open(t, queue.Config{Path: path, Reserve: 512 << 10})
	for i := range 1000 {
		put(t, q, text(queue.Normal, fmt.Sprint("m", i, strings.Repeat(" ", 1000)))...)
	}
	others := fillUp(t, dir)

	var refused error
	for i := 0; i < 1000 && refused == nil; i++ { // what the file has free already can be used
		_, refused = q.Put(t.Context(), text(queue.Normal, fmt.Sprint("n", i, strings.Repeat(" ", 1000)))...)
	}
	if !errors.Is(refused, queue.ErrDiskFull) {
		t.Fatalf("Put on a full disk: %v, want ErrDiskFull", refused)
	}
	// Scattered over the file, each takes a new copy of a page of its own.
	gone := map[string]bool{}
	for i := range 64 {
		if err := q.Release(uint64(1 + 15*i)); err != nil {
			t.Fatal(err)
		}
		gone[fmt.Sprint("m", 15*i)] = true
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatalf("releasing scattered messages on a full disk: %v", err)
	}
	r := q.Reader()
	var want []string
	for i := range 1000 {
		if name := fmt.Sprint("m", i); !gone[name] {
			want = append(want, name)
		}
	}
	for i, m := range next(t, r, len(want)) {
		if strings.TrimSpace(string(m.Payload)) != want[i] {
			t.Fatalf("Next = %.10s, want %s", m.Payload, want[i])
		}
		if err := q.Release(m.Seq); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			if err := q.Sync(t.Context()); err != nil {
				t.Fatalf("releasing on a full disk: %v", err)
			}
		}
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := q.Stats(); got.Released != 1000 || got.Releasing != 0 {
		t.Errorf("Stats = %+v, want 1000 released", got)
	}
	if err := q.Err(); err != nil {
		t.Errorf("Err = %v: a full disk is no failure", err)
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	put(t, q, text(queue.Normal, "after")...)
}

// On a disk without room for a queue file, Open says so and leaves nothing behind that the next start would trip over.
func TestNoRoomForANewQueue(t *testing.T) {
	dir := smallDisk(t, "1m")
	path := filepath.Join(dir, "queue.db")
	others := fillUp(t, dir)
	if _, err := queue.Open(queue.Config{Path: path}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Open: %v, want ENOSPC", err)
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	q := open(t, queue.Config{Path: path, Reserve: 64 << 10})
	put(t, q, text(queue.Normal, "x")...)
}

// The kernel makes a file system read-only when it finds an error in it: what was accepted is there after a repair.
func TestFileSystemTurnsReadOnly(t *testing.T) {
	dir, device := ramDisk(t, "16M")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "errors=remount-ro"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "queue.db")
	q, err := queue.Open(queue.Config{Path: path, Reserve: 64 << 10, ReleaseWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		put(t, q, text(queue.Normal, fmt.Sprint("m", i))...)
	}
	if err := os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("1"), 0); err != nil {
		t.Skipf("this test needs a kernel whose ext4 errs on demand: %v", err)
	}
	for range 5 { // however often: it is no reason to end, for reading goes on
		if _, err := q.Put(t.Context(), text(queue.Normal, "refused")...); !errors.Is(err, queue.ErrReadOnly) {
			t.Fatalf("Put on a read-only file system: %v, want ErrReadOnly", err)
		}
		if got := q.Refusing(); !errors.Is(got, queue.ErrReadOnly) {
			t.Errorf("Refusing: %v, want ErrReadOnly", got)
		}
	}
	r := q.Reader()
	for i, m := range next(t, r, 100) {
		if got, want := string(m.Payload), fmt.Sprint("m", i); got != want {
			t.Errorf("Next = %s, want %s", got, want)
		}
	}
	if err := q.Release(1); err != nil {
		t.Errorf("Release: %v", err)
	}
	if err := q.Err(); err != nil {
		t.Errorf("Err = %v: nothing that was promised is lost", err)
	}
	q.Close()

	repair(t, dir)
	q = open(t, queue.Config{Path: path, Reserve: 64 << 10})
	if q.Recovery() != nil {
		t.Errorf("Recovery = %+v: the file was whole", q.Recovery())
	}
	for i, m := range all(t, q) { // the release could not be written, which costs a repeat
		if got, want := string(m.Payload), fmt.Sprint("m", i); got != want {
			t.Errorf("after the repair message %d is %s, want %s", i, got, want)
		}
	}
	put(t, q, text(queue.Normal, "after")...)
	q.Close() // before the disk goes
}

// repair checks the file system of a ramDisk and mounts it anew, as after a reboot.
func repair(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	image := filepath.Join(filepath.Dir(dir), "image")
	device, err := exec.CommandContext(ctx, "losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(device))
	if out, err := exec.CommandContext(ctx, "fsck.ext4", "-y", name).CombinedOutput(); err != nil && exitCode(err) != 1 { // 1: errors were corrected
		t.Errorf("fsck: %v: %s", err, out)
	}
	if err := syscall.Mount(name, dir, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, "losetup", "--detach", name).CombinedOutput(); err != nil { // once it is unmounted
		t.Errorf("losetup: %v: %s", err, out)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
