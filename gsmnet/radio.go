package gsmnet

import (
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// radioCycles is how often the radio was switched off and on because no network was found. Owner goroutine only.
type radioCycles struct {
	count int
	off   bool      // it is being switched
	from  time.Time // what the next one's wait counts from: the beginning of the search, or the last one; zero: no search
}

// switching is how long AT+CFUN=0 or 1 may take: logging off from a network takes up to 12 s.
const switching = 20 * time.Second

// due notes that a network is being searched for, and reports whether the radio is to be switched off and on now.
func (r *radioCycles) due(spacing []time.Duration, now time.Time) bool {
	if r.from.IsZero() {
		r.from = now
	}
	return now.Sub(r.from) >= spacing[min(r.count, len(spacing)-1)]
}

// cycleRadio switches the radio off and on when a network was searched for in vain for so long that the module may have got stuck in
// its list of cells. On the wire:
//
//	AT+CFUN=0 → OK, AT+CFUN=1 → OK
func (m *Modem) cycleRadio() error {
	o := &m.owner
	o.radio.count++
	o.radio.from = time.Now()
	m.setState(StepRegistration, "no network for long; switching the radio off and on", nil)
	o.contextUp, o.prepared, o.radio.off = false, false, true
	defer func() { o.radio.off = false }()
	for _, line := range []string{"AT+CFUN=0", "AT+CFUN=1"} {
		if _, err := m.do(at.Command{Line: line, Timeout: max(switching, m.cfg.CommandTimeout)}); err != nil && !isRefusal(err) {
			return err
		}
	}
	return nil
}
