// Package uplink is a device's way to its broker: MQTT sessions over the module's network or the machine's own, as the
// configuration wants them. It is the [agent.Link] that joins gsmnet, mqttconn and the queue, which don't know one another.
//
// An uplink chooses among the brokers of a list, keeps what is in flight with the broker that it was sent to, paces attempts so
// that a fleet doesn't return at one moment and an operator isn't bothered, and restarts a module in the ways that it is wired
// for. What it learns on the way survives a restart, for [Uplink.Save] writes it: the network's patience, the brokers' addresses,
// TLS sessions, the time, and which broker holds a session.
//
// It doesn't decide what is sent, or when it may leave the queue: that is the agent's. It writes no log but where nobody asks.
//
// Connect, Close and what they call are for one goroutine, the agent's supervisor; everything else may be called at any time.
package uplink
