// Package nats tests the agent against a broker that is a cluster: three nats-server nodes with their MQTT listener and
// sessions and messages replicated by JetStream, each node a process of its own that is killed hard and started again while
// readings flow.
//
// What counts is what the cluster holds: each message that it stored bears a sequence of its own, so that a reading that it
// took twice is told from one that it only delivers again.
//
// It is a module by itself, so that the product doesn't depend on nats-server. Everything stays on the loopback interface.
//
//	go -C test/nats test -count=1 -v ./...
//
// FIELDPOST_SOAK, as scripts/soak sets it, makes the drain long: 5000 readings at QoS 1 and 500 at QoS 2.
package nats
