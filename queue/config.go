package queue

import (
	"context"
	"fmt"
	"math/bits"
	"time"
)

// Policy is what a Put does when the queue is at its bound.
type Policy uint8

const (
	// DropOldest makes room by dropping the oldest messages of the lowest lane, but none of a lane above the new
	// message's. If that is not enough, the Put fails with ErrFull.
	DropOldest Policy = iota
	// Refuse keeps what is stored; the Put fails with ErrFull.
	Refuse
)

// String returns drop_oldest or refuse.
func (p Policy) String() string {
	if p == Refuse {
		return "refuse"
	}
	return "drop_oldest"
}

// Drain is the order in which a backlog is delivered.
type Drain uint8

const (
	// InOrder delivers each lane strictly in order.
	InOrder Drain = iota
	// LiveFirst splits the normal and the bulk lane where a new Reader finds them: what comes from then on is delivered
	// first, each part in order, and Config.HistoryShare of the bytes is left to what was waiting. The alarm lane stays
	// whole, and ahead of all.
	LiveFirst
)

// String returns in_order or live_first.
func (d Drain) String() string {
	if d == LiveFirst {
		return "live_first"
	}
	return "in_order"
}

// Config says where a queue is and how it behaves. Only Path is required.
type Config struct {
	// Path is the queue's file. Beside it there are Path.lock, for a moment Path.new, and Path.damaged-DATE for each
	// file that was set aside.
	Path string

	// MaxBytes bounds what the stored messages take up on disk. The file is at times larger: by Reserve, and by pages
	// that were freed and not used again yet. 0 means 64 MiB.
	MaxBytes int64
	// MaxMessage bounds topic and payload of one message. 0 means 1 MiB, or a quarter of MaxBytes if that is less.
	MaxMessage int
	// MaxAge is how long a message is worth keeping; older ones are dropped and counted. Age is measured with the clock
	// that doesn't jump, or between trusted wall times; where neither is to be had, messages stay. 0 means for ever.
	MaxAge time.Duration
	// Full says what a Put does at MaxBytes. The zero value is DropOldest.
	Full Policy

	// CommitWait is how long a commit waits for more messages to share it: a stated delay of each Put, for less wear of
	// the flash. 0 commits at once.
	CommitWait time.Duration
	// ReleaseWait is how long a release may wait for a Put whose commit it can share. A crash within it repeats
	// messages. 0 means one second.
	ReleaseWait time.Duration
	// Reserve is how many bytes of the disk are held ready beyond what the file uses, so that messages can be released
	// when others have filled the disk. 0 means 1 MiB, which a release of 64 messages scattered over the file can use.
	Reserve int64

	// KeepReleased bounds what released messages may take up on disk, beside MaxBytes, so that Resend can put them in once
	// more; those with the lowest sequences go first. It costs about as many bytes of the flash as storing them did.
	// 0 keeps none.
	KeepReleased int64

	// Drain is the order in which a backlog is delivered. The zero value is InOrder.
	Drain Drain
	// HistoryShare is the part of the bytes, in percent, that LiveFirst leaves to history. 0 means 20.
	HistoryShare int
	// HistoryAge is how old the oldest message of a lane must be for LiveFirst to split the lane: a short break is no
	// outage. 0 means one minute.
	HistoryAge time.Duration

	// LossTopic is where loss receipts are published. "" means fieldpost/loss.
	LossTopic string
	// LossWait is how long losses are gathered into one receipt. 0 means one minute.
	LossWait time.Duration

	// Verify checks the file at path after an unclean stop; an error means that it is damaged. It should run
	// VerifyFile in a child process, since bbolt ends the process on some kinds of damage; VerifyTime limits it.
	// nil runs CheckFile in this process, which reads the file without bbolt.
	Verify func(ctx context.Context, path string) error
	// VerifyTime limits Verify. 0 means a minute and a second for each MiB of the file, which suits a slow SD card.
	VerifyTime time.Duration

	// Boot names the boot of the machine. Zero means the kernel's boot id.
	Boot [16]byte
	// SinceBoot is the time since the boot at the time of Open. Zero means the kernel's answer.
	SinceBoot time.Duration
}

const (
	defaultMaxBytes = 64 << 20
	defaultMessage  = 1 << 20
	defaultReserve  = 1 << 20
	// On a 32-bit machine the map of the file must fit the address space, together with everything else.
	maxBytes32 = 256 << 20
)

// withDefaults returns c with all zero values replaced.
func (c Config) withDefaults() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = int(min(defaultMessage, c.MaxBytes/4))
	}
	if c.ReleaseWait == 0 {
		c.ReleaseWait = time.Second
	}
	if c.Reserve == 0 {
		c.Reserve = defaultReserve
	}
	if c.HistoryShare == 0 {
		c.HistoryShare = 20
	}
	if c.HistoryAge == 0 {
		c.HistoryAge = time.Minute
	}
	if c.LossTopic == "" {
		c.LossTopic = "fieldpost/loss"
	}
	if c.LossWait == 0 {
		c.LossWait = time.Minute
	}
	return c
}

// Validate names the field that breaks a rule, and the rule. Open calls it.
func (c Config) Validate() error {
	switch {
	case c.Path == "":
		return fmt.Errorf("queue: Path is empty; name the queue's file")
	case c.MaxBytes < 0 || c.MaxBytes > 0 && c.MaxBytes < 64<<10:
		return fmt.Errorf("queue: MaxBytes is %d; a queue has at least 65536", c.MaxBytes)
	case bits.UintSize == 32 && c.MaxBytes+c.KeepReleased > maxBytes32:
		return fmt.Errorf("queue: MaxBytes and KeepReleased are %d; a 32-bit machine can map %d", c.MaxBytes+c.KeepReleased, maxBytes32)
	case c.MaxMessage < 0 || c.MaxMessage > 16<<20:
		return fmt.Errorf("queue: MaxMessage is %d; it can be at most 16 MiB", c.MaxMessage)
	case c.MaxAge < 0 || c.CommitWait < 0 || c.ReleaseWait < 0 || c.HistoryAge < 0 || c.LossWait < 0 || c.VerifyTime < 0:
		return fmt.Errorf("queue: a duration is negative")
	case c.KeepReleased < 0:
		return fmt.Errorf("queue: KeepReleased is %d; it can't be negative", c.KeepReleased)
	case c.Reserve < 0:
		return fmt.Errorf("queue: Reserve is %d; it can't be negative", c.Reserve)
	case c.Full > Refuse:
		return fmt.Errorf("queue: Full is %d; it can be DropOldest or Refuse", c.Full)
	case c.Drain > LiveFirst:
		return fmt.Errorf("queue: Drain is %d; it can be InOrder or LiveFirst", c.Drain)
	case c.HistoryShare < 0 || c.HistoryShare > 100:
		return fmt.Errorf("queue: HistoryShare is %d percent; it goes from 1 to 100", c.HistoryShare)
	}
	if c.LossTopic != "" {
		if err := ValidateTopic(c.LossTopic); err != nil {
			return fmt.Errorf("queue: LossTopic: %w", err)
		}
	}
	return nil
}
