package main

import (
	"encoding/binary"
)

// topic has 30 bytes, as a sensor's often has.
const topic = "v1.fleet.dev-00042.telemetry.5"

// message is 100 bytes of payload, which don't repeat.
type message struct{ payload []byte }

func newMessage(n uint64) message {
	p := make([]byte, 100)
	binary.BigEndian.PutUint64(p, n)
	x := n*0x9E3779B97F4A7C15 + 1
	for i := 8; i < len(p); i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return message{p}
}

// bytes is how stores keep a message that know nothing of topics.
func (m message) bytes() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(topic)+len(m.payload)), uint16(len(topic)))
	return append(append(b, topic...), m.payload...)
}

// store is a queue under test.
type store interface {
	// put returns when the store says that the messages are safe. Many goroutines may call it.
	put(msgs []message) error
	// take reads and removes the n oldest messages; with sync the removal is safe when it returns, if the store can say
	// so at all.
	take(n int, sync bool) error
	close() error
}

// peer is a kind of store.
type peer struct {
	name    string
	durable bool // what put has taken in survives a power cut
	batches bool // and many messages of one put share a flush
	open    func(dir string) (store, error)
}

func peers() []peer {
	return []peer{
		{"fieldpost", true, true, openFieldpost},
		{"bbolt", true, true, openBbolt},
		{"bbolt-batch", true, false, openBboltBatch},
		{"sqlite", true, true, openSQLite},
		{"jetstream", true, false, openJetStream},
		{"tidwall-wal", true, true, openWAL},
		{"paho-filestore", false, false, openPahoStore},
		{"autopaho-files", false, false, openAutopaho},
	}
}
