package web

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/agent"
)

// expositionType is the content type of Prometheus' text format.
const expositionType = "text/plain; version=0.0.4; charset=utf-8"

// The format's escapes, for label values and for help texts. What is no UTF-8 the format doesn't take.
var (
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

// expose writes the families as they are read from one status, so that all of them are of the same moment. Of two values
// with the same labels, which names in a configuration can bring about, the first one counts.
func expose(families []family, st agent.Status) []byte {
	var out bytes.Buffer
	for _, f := range families {
		var samples []string
		seen := make(map[string]bool)
		f.read(st, func(value float64, labels ...string) {
			series := f.name + labelSet(f.labels, labels)
			if !seen[series] {
				seen[series] = true
				samples = append(samples, series+" "+strconv.FormatFloat(value, 'g', -1, 64))
			}
		})
		if len(samples) == 0 {
			continue
		}
		slices.Sort(samples) // the order of a map would change from scrape to scrape
		out.WriteString("# HELP " + f.name + " " + helpEscapes.Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
		out.WriteString(strings.Join(samples, "\n") + "\n")
	}
	return out.Bytes()
}

// labelSet is the part in braces, "" without labels.
func labelSet(names, values []string) string {
	if len(names) == 0 {
		return ""
	}
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = name + `="` + labelEscapes.Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`
	}
	slices.SortFunc(pairs, cmp.Compare)
	return "{" + strings.Join(pairs, ",") + "}"
}
