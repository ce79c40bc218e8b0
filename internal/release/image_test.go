package release_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// buildah builds and runs images without a daemon. With chroot isolation a container has files and a user of its own; network,
// processes and limits are the machine's.
type buildah struct{ store string }

func (b buildah) command(t *testing.T, verb string, args ...string) *exec.Cmd {
	all := []string{"--root", b.store + "/images", "--runroot", b.store + "/run", "--storage-driver", "vfs", verb}
	if verb == "build" || verb == "run" {
		all = append(all, "--isolation", "chroot")
	}
	return exec.CommandContext(t.Context(), "buildah", append(all, args...)...)
}

func (b buildah) do(t *testing.T, verb string, args ...string) string {
	t.Helper()
	out, err := b.command(t, verb, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("buildah %s %s: %v\n%s", verb, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// toolchain makes what stands for the Dockerfile's first base, which is in a registry that a test doesn't ask: an image with a CA
// bundle, in which this machine's own programs and Go are found. It returns the volumes that bring them.
func (b buildah) toolchain(t *testing.T, base string) (volumes []string) {
	t.Helper()
	root := t.TempDir()
	run(t, "install", "-D", "--mode=0644", "/etc/ssl/certs/ca-certificates.crt", root+"/etc/ssl/certs/ca-certificates.crt")
	run(t, "install", "-d", "--mode=1777", root+"/tmp")
	goRoot := strings.TrimSpace(run(t, "go", "env", "GOROOT"))
	c := b.do(t, "from", "scratch")
	b.do(t, "add", c, root, "/")
	b.do(t, "config", "--env", "PATH="+goRoot+"/bin:/usr/bin:/bin", "--env", "GOMODCACHE=/go/pkg/mod", "--env", "GOCACHE=/go/cache",
		"--env", "GOFLAGS=-buildvcs=false", "--env", "GOTOOLCHAIN=local", c)
	b.do(t, "commit", "--quiet", "--rm", c, base)
	volumes = []string{
		strings.TrimSpace(run(t, "go", "env", "GOMODCACHE")) + ":/go/pkg/mod",
		strings.TrimSpace(run(t, "go", "env", "GOCACHE")) + ":/go/cache",
	}
	for _, dir := range []string{"/usr", "/bin", "/lib", "/lib64", goRoot} {
		if _, err := os.Stat(dir); err == nil {
			volumes = append(volumes, dir+":"+dir+":ro")
		}
	}
	return volumes
}

// TestImage builds the Dockerfile and runs the image as it would run in the field, but for the first base.
func TestImage(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("buildah's chroot isolation needs root")
	}
	b := buildah{t.TempDir()}
	args := []string{"--file", "../../Dockerfile", "--format", "docker", "--layers=false", "--pull-never",
		"--build-arg", "VERSION=" + version, "--tag", "fieldpost"}
	for _, v := range b.toolchain(t, baseOf(t, "../../Dockerfile")) {
		args = append(args, "--volume", v)
	}
	b.do(t, "build", append(args, "../..")...)

	var image struct {
		Docker struct {
			Config struct {
				User        string
				Entrypoint  []string
				Cmd         []string
				Healthcheck struct{ Test []string }
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(b.do(t, "inspect", "--type", "image", "fieldpost")), &image); err != nil {
		t.Fatal(err)
	}
	config := image.Docker.Config
	if config.User != "65532:65532" {
		t.Errorf("the image runs as %q, want a number without rights", config.User)
	}
	test := config.Healthcheck.Test
	if len(test) < 2 || test[0] != "CMD" || len(config.Entrypoint) != 1 || len(config.Cmd) != 1 {
		t.Fatalf("the image starts %q with %q, and its health is %q", config.Entrypoint, config.Cmd, test)
	}

	c := b.do(t, "from", "--pull-never", "fieldpost")
	checkFiles(t, b.do(t, "mount", c))
	inside := func(command ...string) *exec.Cmd {
		return b.command(t, "run", append([]string{c, "--"}, command...)...)
	}
	if out, err := inside("/fieldpost", "version").CombinedOutput(); err != nil || !strings.Contains(string(out), version) {
		t.Errorf("version: %v\n%s", err, out)
	}
	start := slices.Concat(config.Entrypoint, config.Cmd)
	liveInImage(t, b.do(t, "mount", c), inside(start...), func() ([]byte, error) { return inside(test[1:]...).CombinedOutput() })
}

// baseOf is the image that a Dockerfile begins with.
func baseOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "FROM" {
			return "docker.io/library/" + words[2]
		}
	}
	t.Fatalf("%s has no FROM", file)
	return ""
}

// checkFiles wants nothing in the image but the program, the authorities' certificates and two folders.
func checkFiles(t *testing.T, root string) {
	t.Helper()
	got := strings.Fields(run(t, "find", root, "-type", "f", "-printf", "%P\n"))
	slices.Sort(got)
	if want := []string{"etc/ssl/certs/ca-certificates.crt", "fieldpost"}; !slices.Equal(got, want) {
		t.Errorf("the image has the files %q, want %q", got, want)
	}
	if out := run(t, "stat", "--format=%u %a", root+"/var/lib/fieldpost"); out != "65532 700\n" {
		t.Errorf("owner and mode of the data folder are %q", out)
	}
}

// liveInImage runs the agent with the simulated module: it is unhealthy as long as there is no broker, then healthy, and it stops well.
func liveInImage(t *testing.T, root string, agent *exec.Cmd, health func() ([]byte, error)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := "device: box\nmodem: {port: sim, apn: CMNET}\nbroker: {url: \"mqtt://" + l.Addr().String() + "\"}\n" +
		"sources: {mqtt: {listen: off}, http: {listen: off}}\nweb: {listen: off}\n"
	if err := os.WriteFile(filepath.Join(root, "etc/fieldpost/config.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	agent.Stderr = &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- agent.Wait() }()
	t.Cleanup(func() {
		_ = agent.Process.Kill() // no matter if it has ended
		<-stopped
	})
	if out, err := health(); err == nil {
		t.Errorf("it calls itself healthy without a broker:\n%s", out)
	}
	serveMQTT(t, l)
	for begun := time.Now(); ; {
		out, err := health()
		if err == nil {
			break
		}
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("the health command goes on failing: %v\n%s\nlog:\n%s", err, out, log.String())
		}
	}
	// As a container engine does it, which signals the first process; buildah would kill it.
	if err := syscall.Kill(processOf(t, agent.Process.Pid, 65532), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = <-stopped
	stopped <- nil
	if !strings.Contains(log.String(), `"message":"stopped"`) {
		t.Errorf("it doesn't end well when told to: %v\n%s", err, log.String())
	}
}

// processOf finds the agent, run by the user, among the processes that come from the ancestor.
func processOf(t *testing.T, ancestor int, user uint32) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parents, users := make(map[int]int), make(map[int]uint32)
	for _, file := range stats {
		text, err := os.ReadFile(file)
		var st syscall.Stat_t
		if err != nil || syscall.Stat(filepath.Dir(file), &st) != nil {
			continue // it has ended
		}
		var pid, parent int
		var state string
		_, _ = fmt.Sscan(string(text), &pid)
		_, _ = fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &state, &parent)
		parents[pid] = parent
		if bytes.Contains(text, []byte("(fieldpost)")) {
			users[pid] = st.Uid
		}
	}
	for pid, uid := range users {
		for up := pid; uid == user && up != 0; up = parents[up] {
			if up == ancestor {
				return pid
			}
		}
	}
	t.Fatalf("no agent of user %d comes from %d: %v", user, ancestor, users)
	return 0
}

// serveMQTT is a broker that takes everything.
func serveMQTT(t *testing.T, l net.Listener) {
	t.Helper()
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(openDoor), nil); err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listeners.NewNet("broker", l)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
}

type openDoor struct{ mqtt.HookBase }

func (*openDoor) ID() string { return "open-door" }

func (*openDoor) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (*openDoor) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (*openDoor) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
