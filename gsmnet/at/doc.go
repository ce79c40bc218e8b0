// Package at is the AT dialogue alone: it turns the bytes of a serial line into tokens, keeps one command in flight, and
// hands on everything that answers no command, in order.
//
// It promises that a late answer is never taken for the answer to a later command: after a timeout nothing is sent until
// Resync has had the answer to a probe that nothing else could have caused. An answer that stops short (an OK without the
// information, the information or a counted block without its OK) is taken after a moment, and followed by Resync too. It promises that a line which arrives on its
// own (a URC) is handed to Config.URC exactly once, in the order of the wire, and never becomes part of a reply; that bytes
// which a header has counted are never interpreted, whatever they spell, and neither are bytes in data mode; and that once the module has shown its prompt, the
// announced bytes follow.
//
// It does not know what a command means; that is the business of package gsmnet. It does not log and starts no timers of its
// own outside the calls.
//
// A Dialogue belongs to one goroutine, its owner: only the owner calls Do, Await, Drain and Resync. Two goroutines of its
// own move bytes: one reads the port and scans tokens, one writes, so that a stuck port never holds the owner for longer than
// Config.WriteTimeout. A Scanner alone is a plain value without concurrency.
//
// Protocol: ITU-T V.250 framing as Quectel's M-series modules speak it; the vendor's guide "GSM module TCPIP application
// process" V1.2, cited as G2.1 to G9.4.
package at
