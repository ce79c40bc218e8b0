package mqttconn

// Receipt tells the fate of one published message. It is safe for concurrent use.
type Receipt struct {
	seq  uint64
	done chan struct{}
	err  error // written once, before done is closed
}

func newReceipt(seq uint64) *Receipt {
	return &Receipt{seq: seq, done: make(chan struct{})}
}

// Seq is the Seq of the message.
func (r *Receipt) Seq() uint64 { return r.seq }

// Done is closed when the message is proven to have arrived or the connection has ended.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Err waits for Done. It is nil only with the proof that the message's QoS and [Config.Release] demand. Otherwise the
// message may have arrived or not, and belongs back into the queue.
func (r *Receipt) Err() error {
	<-r.done
	return r.err
}

func (r *Receipt) resolve(err error) {
	r.err = err
	close(r.done)
}
