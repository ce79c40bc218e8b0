package queue

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clock makes stamps. It holds moments of package time, so that it follows virtual time in tests.
type clock struct {
	boot      [16]byte
	opened    time.Time     // when since was true
	sinceBoot time.Duration // at opened
	trust     Trust
	known     clockRef // what SetClock said last; in force if trust is not TrustUnknown
}

// mono returns the time since the boot at the moment now.
func (c *clock) mono(now time.Time) time.Duration { return c.sinceBoot + now.Sub(c.opened) }

// wall returns the best wall time for the moment now. Once the time was told, it doesn't follow later jumps of the
// machine's clock; whoever told it tells again.
func (c *clock) wall(now time.Time) time.Time {
	if c.trust == TrustUnknown {
		return now
	}
	return time.UnixMilli(c.known.wall + c.mono(now).Milliseconds() - c.known.mono)
}

// stamp fills what the message's source left open.
func (c *clock) stamp(m *Message, now time.Time) {
	if m.Boot != ([16]byte{}) {
		return
	}
	m.Boot, m.Mono = c.boot, c.mono(now)
	if m.Time.IsZero() {
		m.Time, m.Trust = c.wall(now), c.trust
	}
}

// age returns how old m is at the moment now, as far as that can be told: within this boot by the clock that doesn't
// jump, else between two trusted wall times.
func (c *clock) age(m *Message, now time.Time) (time.Duration, bool) {
	if m.Boot == c.boot {
		return c.mono(now) - m.Mono, true
	}
	if m.Trust == TrustKnown && c.trust == TrustKnown {
		return c.wall(now).Sub(m.Time), true
	}
	return 0, false
}

// Age returns how long ago the message was taken in. It is false where that can't be told: of another boot, while one of the two
// clocks isn't trusted.
func (q *Queue) Age(m Message) (time.Duration, bool) {
	q.mu.Lock()
	clk := q.clock
	q.mu.Unlock()
	return clk.age(&m, time.Now())
}

// machineClock asks the kernel for what cfg leaves open.
func machineClock(cfg Config) (clock, error) {
	c := clock{boot: cfg.Boot, sinceBoot: cfg.SinceBoot, opened: time.Now()}
	if c.boot == ([16]byte{}) {
		text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return clock{}, fmt.Errorf("queue: boot id: %w", err)
		}
		text = bytes.ReplaceAll(bytes.TrimSpace(text), []byte("-"), nil)
		if n, err := hex.Decode(c.boot[:], text[:min(len(text), 32)]); err != nil || n != len(c.boot) {
			return clock{}, fmt.Errorf("queue: boot id %q is no UUID", text)
		}
	}
	if c.sinceBoot == 0 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			return clock{}, fmt.Errorf("queue: time since boot: %w", err)
		}
		c.sinceBoot = time.Duration(ts.Nano())
	}
	return c, nil
}

// SetClock tells the queue the wall time and how far it is to be trusted. New messages are stamped with it. Once it is
// TrustKnown, messages of this boot that were stamped before are handed out with the corrected time; that is durable when
// SetClock returns nil. Call it when the clock becomes known, and whenever it was set again; a lower trust than before is
// ignored.
func (q *Queue) SetClock(ctx context.Context, now time.Time, trust Trust) error {
	if trust > TrustKnown {
		return fmt.Errorf("queue: trust %d is none of unknown, guessed, known", trust)
	}
	moment := time.Now()
	q.mu.Lock()
	ref := clockRef{now.UnixMilli(), q.clock.mono(moment).Milliseconds()}
	lower := trust < q.clock.trust || trust == TrustUnknown
	if !lower {
		q.clock.trust, q.clock.known = trust, ref
	}
	boot := q.clock.boot
	q.mu.Unlock()
	if lower || trust < TrustKnown {
		return nil
	}
	return q.do(ctx, func(t *txn) error {
		t.setClockRef(boot, ref)
		return t.bucket(bucketClocks).Put(boot[:], ref.append(nil))
	})
}
