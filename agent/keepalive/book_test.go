package keepalive_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/keepalive"
)

func open(t *testing.T, path string) *keepalive.Book {
	t.Helper()
	b, err := keepalive.Open(path, keepalive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBookRemembersEachNetwork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalive")
	b := open(t, path)
	b.Forgotten("TEST NETWORK/CMNET", b.Interval("TEST NETWORK/CMNET"))
	b.Survived("broker.example", b.Interval("broker.example"))
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if got, want := again.Interval("TEST NETWORK/CMNET"), 270*time.Second; got != want {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
	if got := again.State("broker.example").Proven; got != 540 {
		t.Errorf("proven in the other network: %d s, want 540", got)
	}
	if got := again.Interval("elsewhere"); got != keepalive.DefaultStart {
		t.Errorf("in a network never seen: %v, want %v", got, keepalive.DefaultStart)
	}
}

func TestBookIsUsableWhenItsFileIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalive")
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := keepalive.Open(path, keepalive.Limits{})
	if err == nil {
		t.Error("the damage was not noticed")
	}
	b.Forgotten("a", b.Interval("a"))
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, path).Interval("a"); got != 270*time.Second {
		t.Errorf("after the damage: %v, want 4m30s", got)
	}
}

func TestBookForgetsTheOldest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalive")
	b := open(t, path)
	for i := range 40 {
		b.Survived(fmt.Sprint("network ", i), time.Minute)
	}
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if got := again.State("network 0").Survived; got != 0 {
		t.Errorf("the oldest of 40 networks is still known, with %d silences", got)
	}
	if got := again.State("network 39").Survived; got != 1 {
		t.Errorf("the newest has %d silences, want 1", got)
	}
}
