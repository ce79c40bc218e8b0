package mqttconn

// Stats counts what a session did since it was connected.
type Stats struct {
	Published      uint64 // messages sent for the first time on this connection
	Repeated       uint64 // flights of earlier connections taken up again
	Proven         uint64 // receipts that ended without error
	Failed         uint64 // receipts that ended with an error
	Contradictions uint64 // of Proven: the broker answered, but the acknowledged count never followed
	Strays         uint64 // answers of the broker that fit no message on its way, ignored
	Pings          uint64 // pings sent
	Received       uint64 // messages of subscriptions that the handler has accepted
	Dropped        uint64 // messages of subscriptions not taken: inbox full, the handler failed, or there is none
	Oversize       uint64 // messages over MaxInbound, read past and acknowledged

	InFlight      int // messages that occupy the window now
	InFlightBytes int // and their bytes

	BytesUp   uint64 // written to the connection below TLS
	BytesDown uint64 // read from it
	// PublishBytes are the packets of messages sent for the first time, RepeatBytes those sent again, PingBytes the
	// pings, all above TLS. The rest of BytesUp is TLS, CONNECT and answers.
	PublishBytes, RepeatBytes, PingBytes uint64
}
