package tree_test

import (
	"os/exec"
	"strings"
	"testing"
)

// heavy is what made the binary larger than all else did, and what does its work now. The templates are the worst: where
// a method can be called by a name that is only known later, the linker keeps every method of every type.
var heavy = map[string]string{
	"html/template":                          "agent/web/markup.go",
	"net/http/pprof":                         "nothing: it has no place on a field device",
	"expvar":                                 "/metrics",
	"google.golang.org/protobuf/proto":       "agent/web/exposition.go",
	"github.com/schollz/progressbar/v3":      "cmd/agent/progress.go",
	"github.com/prometheus/procfs":           "agent/web/process.go",
	"github.com/go-playground/validator/v10": "agent/config/validate.go",
}

func TestBinaryIsWithoutTheHeavy(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/agent")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errorText(err))
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("go list names %d packages: that can't be all", len(deps))
	}
	for _, dep := range deps {
		if instead, found := heavy[dep]; found {
			t.Errorf("the agent is linked with %s again; in its place there is %s", dep, instead)
		}
	}
}
