package at

// In data mode (chapter 8 of the guide) the port carries the peer's bytes and nothing else. The owner decides when it begins and
// ends; these are the means.

// RawAfter makes everything behind the given line Raw tokens: the module enters data mode with it (G8.1). "" takes that back.
func (d *Dialogue) RawAfter(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scan.RawAfter(line)
}

// LeaveRaw makes the scanner read lines again, from the next byte on.
func (d *Dialogue) LeaveRaw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scan.RawAfter("")
	d.scan.SetRaw(false)
}

// Send writes bytes in data mode. It returns when the port has taken them.
func (d *Dialogue) Send(p []byte) error { return d.put(p) }

// Rescan takes bytes that came as Raw tokens for what they turned out to be: lines. It may be called from Config.URC.
func (d *Dialogue) Rescan(p []byte) {
	var lines Scanner
	lines.Scan(p, d.handle)
}
