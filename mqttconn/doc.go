// Package mqttconn delivers messages to an MQTT 3.1.1 broker over any connection that can say how many of its bytes
// the far end's TCP has acknowledged, and tells for each message when its arrival is proven.
//
// # What it promises
//
//   - A [Receipt] ends without error only on the proof that the message's QoS and [Config.Release] demand: the broker's
//     PUBACK or PUBCOMP, the acknowledged byte count of the same connection, or both. The tokens of the MQTT library
//     are never believed.
//   - A connection that ends first fails every receipt that is not proven. Only an answer of the broker that came before
//     the end still counts: a broker cannot answer bytes that it never got.
//   - Packets leave in the order of the [Session.Publish] calls, whole, and many may be on their way at once.
//   - QoS 2 is exactly once, also across a crash of the process, if the broker keeps its session and [Config.Journal]
//     keeps its word: the packet id is durable before PUBLISH leaves, and the broker's PUBREC before PUBREL leaves.
//   - Nothing waits forever: dial, handshake, write, ping, the broker's answer and the acknowledged count all have limits.
//   - After [Session.Close] no goroutine of the session is left.
//
// # What it does not do
//
// It does not dial again: a [Session] is one connection, and [Backoff] only computes how long a supervisor should wait.
// It keeps no messages: what was not proven is still in the caller's queue. It does not log.
// A broker that acknowledges a message and then loses it is outside of what any client of MQTT 3.1.1 can see; so is
// a proxy on the way whose TCP acknowledges the bytes of a QoS 0 message and then drops them.
//
// # How it works
//
// The Eclipse Paho client speaks MQTT; a guard sits between it and the connection. Paho hands each packet to the guard
// in one Write. The guard puts it into an outbound queue, from which one goroutine gathers packets, records packet ids
// in the journal, writes, and reads the byte count below TLS; that count is where the message ends. In the other
// direction the guard parses and checks each frame before Paho sees it. Between the two stands the ledger: message,
// packet id, end offset, acknowledged bytes, the broker's answer.
//
// # Concurrency
//
// The methods of [Session] and [Receipt] may be called from any goroutine. [Backoff] belongs to one goroutine.
//
// Protocol: MQTT Version 3.1.1, OASIS Standard, 29 October 2014.
package mqttconn
