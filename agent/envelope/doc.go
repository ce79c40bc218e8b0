// Package envelope is the form in which readings travel when they don't travel plain: one reading with its id, its time and
// a checksum around the payload, or many readings in one message, compressed with a preset dictionary if that is wanted.
//
// # What it promises
//
//   - A message whose bytes changed on the way is refused ([ErrDamaged]), above all one that was cut by a loss of power and
//     completed with filler. The checksum is verified before anything else of the message is believed.
//   - Decode allocates no more than [MaxBody] and a small multiple of it, whatever the message claims, and doesn't panic.
//   - The same readings give the same bytes, with the same version of the program. In compressed messages the bytes may
//     change with the version of the Go library; the readings don't.
//   - What a later version of the format writes is refused with [ErrVersion] and not read wrongly.
//
// # What it does not do
//
// It keeps nothing secret and proves nobody's identity: the checksum is against damage, not against forgery. It neither
// gathers readings nor sends them.
//
// # Concurrency
//
// An [Encoder] and a [Decoder] belong to one goroutine each.
//
// Format: docs/message-format.md; DEFLATE is RFC 1951.
package envelope
