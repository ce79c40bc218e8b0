package web

// Metric is one metric family as it is documented.
type Metric struct {
	Name, Kind, Help string
	Labels           []string
}

// Metrics lists every family that the server can export.
func Metrics() (list []Metric) {
	for _, f := range append(families(), processFamilies()...) {
		list = append(list, Metric{f.name, f.kind, f.help, f.labels})
	}
	return list
}
