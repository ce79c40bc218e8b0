package gsmnet

// lacks is what a module has turned out not to do since it was synchronised. Everything that the guide's text doesn't need can be gone
// without: the context that AT+QIOPEN brings up by itself, the question for the address, echo that can't be switched off.
type lacks struct {
	echo      bool // it sends commands back though it was told not to
	context   bool // AT+QIREGAPP leads nowhere: AT+QIOPEN has to do from IP INITIAL
	starts    int  // AT+QIREGAPP that has led to no context, in a row
	buffer    bool // it refuses AT+QINDI=1: received data is pushed (G2.9)
	address   bool // it doesn't tell its address
	addresses int  // refusals of that question
	reads     int  // AT+QIRD gives no more than this at a time; 0: maxRead
}

// minRead is the least that is asked of AT+QIRD: what refuses this is no firmware that only wants smaller reads.
const minRead = 128

// mostRead is how much to ask of AT+QIRD.
func (l *lacks) mostRead() int {
	if l.reads == 0 {
		return maxRead
	}
	return l.reads
}

// readsLess notes that so much was refused on a connection that stands.
func (l *lacks) readsLess(refused int) {
	if refused <= minRead { // for another reason
		return
	}
	l.reads = min(l.mostRead(), max(refused/2, minRead))
}

// supposed is the state of a stack that doesn't tell it, from what was done: dropped before, or brought up.
func (m *Modem) supposed(dropped, activated bool) string {
	switch {
	case activated:
		return stActivated
	case !m.owner.regApp.IsZero():
		return stStart
	case dropped:
		return stInitial
	}
	return stDeact // drop what may stand
}

// where is the address in words.
func (o *owner) where() string {
	if o.address == "" {
		return "connected to GPRS; the module doesn't tell its address"
	}
	return "address " + o.address
}
