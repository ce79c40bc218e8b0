package field

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// setting is a moment at which a time server has set the machine's clock.
type setting struct {
	at  time.Time
	off time.Duration // what it showed then less the true time
}

// told notes that the machine's clock was set in a boot, so far beside the true time.
func (m *model) told(boot int, off time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings[boot] = append(m.settings[boot], setting{time.Now(), off})
}

// trueTime is the true time at a moment of the run.
func (m *model) trueTime(at time.Time) time.Time { return truth.Add(at.Sub(m.begin)) }

// The agent looks at the clock every 10 s, and lets it drift by two.
const (
	stampWithin  = 5 * time.Second
	noticeWithin = 15 * time.Second
)

// inForce are the settings that a reading of this boot may be stamped by: what was in force when it was taken in or a moment before; if
// the clock had not been set by then, any later one.
func (m *model) inForce(boot int, at time.Time) (list []setting) {
	all := m.settings[boot]
	for i, s := range all {
		if i+1 < len(all) && at.Sub(all[i+1].at) > noticeWithin {
			continue // another one had taken its place
		}
		if s.at.After(at) && at.Sub(all[0].at) > noticeWithin {
			break
		}
		list = append(list, s)
	}
	return list
}

// dates checks a stamp that is called known, with mu held: it has to be the time at which the reading was taken in, by the clock as a
// time server had set it in that boot.
func (m *model) dates(r envelope.Reading) {
	sensor, n, ok := parsePayload(r.Payload)
	if !ok || sensor >= len(m.sensors) || n >= len(m.sensors[sensor]) {
		return
	}
	of := m.sensors[sensor][n]
	right := m.trueTime(of.at)
	for _, s := range m.inForce(of.boot, of.at) {
		if r.Time.Sub(right.Add(s.off)).Abs() <= stampWithin {
			m.dated++
			return
		}
	}
	m.violateLocked("I11", "reading %d of sensor %d is stamped %s as a known time; it was taken in at %s", n, sensor,
		r.Time.Format(time.DateTime), right.Format(time.DateTime))
}
