// Package keepalive learns how long a mobile network remembers a connection on which nothing is said.
//
// Gateways forget a silent connection after a time that nobody publishes, and tell neither side. A ping before that time
// keeps the connection, each one costs bytes; one ping too late costs a connection. A [Learner] watches what becomes of
// silences and picks the length at which pings and reconnects together cost the least bytes:
//
//   - It begins below the 10 minutes that the module's vendor measured (G6.2), at [DefaultStart].
//   - A silence that ended with an answer proves its length. After a few of them a longer one is tried.
//   - A silence after which nothing came back is a length that is too long; the next one lies between it and the longest
//     that is proven, and keeps a tenth away from it. A proven length is given up only after two of late, for one can have
//     other reasons.
//   - It stops searching when what is left to be gained in a month is less than a lost connection costs. Once a week
//     it looks whether the network has become more patient by a fifth; less isn't looked for, as it would lead back to the edge.
//
// A [Book] keeps one learner for each network and remembers them in a file.
//
// It doesn't measure silences and doesn't know why a connection ended: whoever reports to it leaves out what a loss of
// coverage, a restart of the broker or a context that was dropped has ended.
//
// A Learner belongs to one goroutine. The methods of Book may be called concurrently.
package keepalive
