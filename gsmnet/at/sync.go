package at

import (
	"bytes"
	"errors"
	"time"
)

// Sync finds the module's speed: it sends "AT" at the given interval until the module answers, tries times at most (G9.1).
// Afterwards no older answer is on its way any more. It leaves ATV0, in which an OK is a bare 0. The error is ErrHung when
// there was no answer.
func (d *Dialogue) Sync(tries int, every time.Duration) error {
	d.mu.Lock()
	d.scan.Reset()
	d.mu.Unlock()
	for range tries {
		open := d.promised
		d.promised = 0 // what answers waits for no payload, unless its prompt comes now
		answer, err := d.knock("AT", every)
		if err != nil {
			return err
		}
		if answer == "" {
			d.promised = max(d.promised, open)
			continue
		}
		if answer == "0" {
			if _, err := d.knock("ATV1", every); err != nil {
				return err
			}
		}
		_, err = d.Resync()
		return err
	}
	return ErrHung
}

// knock sends a line and returns the first OK or 0 that comes within the time, "" if none does.
func (d *Dialogue) knock(line string, wait time.Duration) (string, error) {
	if err := d.put([]byte(line + "\r")); err != nil {
		return "", err
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		t, err := d.next(limit.C, nil)
		switch {
		case errors.Is(err, ErrTimeout):
			return "", nil
		case err != nil:
			return "", err
		case t.Kind == Line && (t.Text == "OK" || t.Text == "0"):
			return t.Text, nil
		case t.Kind == Line && d.isEcho(t.Text, line):
		default:
			d.handle(t)
		}
	}
}

// Escape leads a module out of what an earlier program may have left it in: data mode, by "+++" between two silences (G8.2;
// modules want 1 s and get a little more); a prompt without length, by ESC (G4.2); one with length, by as many bytes as it can
// possibly wait for (G4.3). To a module in command mode all that is nothing.
func (d *Dialogue) Escape() error {
	const guard = 1100 * time.Millisecond
	if !d.Pause(guard, nil) {
		return d.gone()
	}
	if err := d.put([]byte("+++")); err != nil {
		return err
	}
	if !d.Pause(guard, nil) {
		return d.gone()
	}
	if err := d.put(append([]byte{0x1B}, bytes.Repeat([]byte{'\r'}, maxPayload)...)); err != nil {
		return err
	}
	if !d.Pause(guard, nil) {
		return d.gone()
	}
	return nil
}

func (d *Dialogue) gone() error {
	if d.failed != nil {
		return d.failed
	}
	return ErrClosed
}
