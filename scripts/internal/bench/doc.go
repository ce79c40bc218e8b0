// Bench is the program behind scripts/bench: it runs the measurements of one area and prints them in one form.
//
// An area is measured by the Go benchmarks of some packages, by tests that print figures (what runs in virtual time), or by a function
// of this program. Benchmarks run several
// times and the median of each figure is printed. A benchmark adds figures of its own with b.ReportMetric: the unit
// "goodput_ratio" becomes the metric of that name without a unit, "goodput:B/s" the metric goodput in B/s.
//
// It doesn't judge: whether a figure is good enough is the reader's or a test's to say.
package main
