package web_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/web"
)

// row is a metric's line in docs/metrics.md.
func row(m web.Metric) string {
	labels := "–"
	if len(m.Labels) > 0 {
		labels = "`" + strings.Join(m.Labels, "`, `") + "`"
	}
	return "| `" + m.Name + "` | " + m.Kind + " | " + labels + " | " + m.Help + " |"
}

func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range web.Metrics() {
		want = append(want, row(m))
	}
	got := regexp.MustCompile("(?m)^\\| `.*$").FindAllString(string(text), -1)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md (-want +got):\n%s", diff)
	}
}

// A status that says everything brings every family out, so that what the linter and the dashboard tests see is all there is.
func TestFullStatusShowsEveryMetric(t *testing.T) {
	st := full(noon)
	st.Queue.Recovery = recovered
	body := scrape(t, st)
	for _, m := range web.Metrics() {
		if !strings.Contains(body, "# TYPE "+m.Name+" "+m.Kind+"\n") {
			t.Errorf("%s is not there", m.Name)
		}
	}
}

// A SIM or a module can be followed across the world by its number; a label would carry it everywhere.
func TestNoMetricIdentifiesASIM(t *testing.T) {
	for _, m := range web.Metrics() {
		for _, label := range m.Labels {
			if regexp.MustCompile(`(?i)imei|imsi|iccid|msisdn|sim|phone|serial|ip\b|topic`).MatchString(label) {
				t.Errorf("%s has the label %s", m.Name, label)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:fieldpost|process|go)_[a-z_]+\b`)

// used checks that each metric in a query is one that is exported.
func used(t *testing.T, where, query string) {
	t.Helper()
	names := metricName.FindAllString(query, -1)
	if len(names) == 0 {
		t.Errorf("%s: no metric in %q", where, query)
	}
	for _, name := range names {
		if !slices.ContainsFunc(web.Metrics(), func(m web.Metric) bool { return m.Name == name }) {
			t.Errorf("%s: %s is no metric of the agent", where, name)
		}
	}
}

func TestGrafanaDashboard(t *testing.T) {
	text, err := os.ReadFile("../../examples/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct {
				RefID string
				Expr  string
			}
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]bool)
	for _, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: no title, no query, an id twice or too wide", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			used(t, p.Title, target.Expr)
		}
	}
	if board.Title == "" || board.UID == "" || len(board.Panels) < 8 {
		t.Errorf("got %q (%s) with %d panels", board.Title, board.UID, len(board.Panels))
	}
}

func TestAlertRules(t *testing.T) {
	const path = "../../examples/grafana/alerts.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			count++
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("rule %q lacks a name, a severity, a summary or a description", r.Alert)
			}
			used(t, r.Alert, r.Expr)
		}
	}
	if count < 6 {
		t.Errorf("rules: got %d", count)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return // Prometheus' own checker looks too where it is installed
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
