// Package sysnet is the way to the broker over the machine's own network, for boards that have Ethernet, Wi-Fi or a
// PPP link instead of a module on a serial line.
//
// It promises what the module's driver promises: a Conn says how many of the written bytes the peer's TCP has
// acknowledged, so that a message is released on proof on every link. The kernel keeps the bytes that are not yet
// acknowledged (SIOCOUTQ, see tcp(7)); written minus those is acknowledged. A connection that has failed proves
// nothing more: its count stays at what was seen while it stood.
//
// The proof is TCP's own: it says that the other end of this TCP connection has the bytes. A proxy on the way, or a
// broker that dies before it reads, acknowledges too; that is why QoS 1 and 2 also wait for the broker's answer.
//
// The count exists on Linux. Elsewhere dialling works, Acked stays 0 and WaitAcked returns ErrNoCount at once.
//
// It doesn't retry, doesn't speak TLS and keeps nothing alive: TCP keepalives are off because each one is paid for and
// MQTT's pings do the work.
//
// All methods may be called concurrently.
package sysnet
