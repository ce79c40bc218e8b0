package tree_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The image can't be built where there is no container engine. What it consists of can: the binary is built with the
// Dockerfile's own command, has to run in an empty image, and has to know the commands that the image starts.
func TestDockerfile(t *testing.T) {
	instructions := dockerfile(t)
	binary := filepath.Join(t.TempDir(), "fieldpost")
	var build, health, start string
	for _, line := range instructions {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "RUN" && strings.Contains(rest, "go build"):
			build = rest
		case word == "HEALTHCHECK":
			_, health, _ = strings.Cut(rest, "CMD ")
		case word == "CMD":
			start = rest
		}
	}

	const target = "/out/fieldpost"
	if !strings.Contains(build, target) {
		t.Fatalf("the build command %q doesn't make %s", build, target)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(build, target, binary, 1))
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "TARGETVARIANT=", "VERSION=1.2.3-test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	checkStatic(t, binary)
	if got := output(t, binary, "version"); !strings.Contains(got, "1.2.3-test") {
		t.Errorf("version prints %q, want the VERSION of the build", got)
	}
	for _, words := range []string{health, start} {
		var args []string
		if err := json.Unmarshal([]byte(words), &args); err != nil {
			t.Fatalf("%q is not a list of words: an empty image has no shell: %v", words, err)
		}
		if args[0] == "/fieldpost" { // what ENTRYPOINT puts in front of CMD
			args = args[1:]
		}
		output(t, binary, append(args, "--help")...)
	}
}

func TestDockerfileIsForNobody(t *testing.T) {
	var final, user string
	for _, line := range dockerfile(t) {
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "FROM":
			final, user = rest, ""
		case "USER":
			user = rest
		}
	}
	if final != "scratch" {
		t.Errorf("the image is built on %q, want scratch", final)
	}
	if user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("the image runs as user %q, want one without rights, by number", user)
	}
}

// dockerfile returns the instructions of the Dockerfile, each on one line.
func dockerfile(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	joined := strings.ReplaceAll(string(content), "\\\n", "")
	for _, line := range strings.Split(joined, "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// checkStatic fails when the program needs a dynamic linker, which an empty image doesn't have.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s is not static", path)
		}
	}
}

func output(t *testing.T, binary string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	if err != nil {
		t.Errorf("fieldpost %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
