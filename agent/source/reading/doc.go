// Package reading turns what a sensor says into messages: a line of text, a
// register or a file's content becomes a [Set] of named values, and a [Maker]
// decides under which topic, in which form, and whether at all it is sent.
//
// It promises that a value keeps the digits it came with, that what passes
// becomes a payload that is plain text or valid JSON, and that the filters
// remember a value only once it was stored: see [Maker.Commit]. No input makes
// a parser panic, and none makes it use more memory than a small multiple of
// its own length.
//
// A topic is a template, such as "{device}/{source}/{field}". With {field} in
// it each value is a message of its own; without it the values that were read
// at one moment travel together as one JSON object, which costs far fewer
// bytes on the air.
//
// The package reads no file and no device, and knows no clock: the moment is a
// parameter. A Maker and a Splitter belong to one goroutine; everything else
// may be used concurrently.
//
// Reference: RFC 8259 for JSON, RFC 4180 for CSV, and InfluxDB's description of
// its line protocol, version 2.
package reading
