package source

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Bus is a serial line with Modbus devices on it (RTU). The sources of its
// devices take turns. It is safe for concurrent use.
type Bus struct {
	path, mode string
	baud       int
	turn       chan struct{} // holds a token while someone uses what follows
	port       *serialLine   // nil: not open
	quiet      time.Time     // no request before
}

// NewBus describes a line; it is opened when the first request is made.
func NewBus(path string, baud int, mode string) (*Bus, error) {
	if _, err := serialMode(baud, mode); err != nil {
		return nil, err
	}
	return &Bus{path: path, baud: baud, mode: mode, turn: make(chan struct{}, 1)}, nil
}

// busTick is how often a silent line is looked at: well within the time that
// devices take to answer, and above that of the characters of a frame.
const busTick = 10 * time.Millisecond

// acquire waits for the turn.
func (b *Bus) acquire(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Bus) release() { <-b.turn }

// close closes the port; the caller has the turn.
func (b *Bus) close() {
	if b.port != nil {
		b.port.Close()
		b.port = nil
	}
}

// gap is the silence that ends a frame: 3.5 characters of 11 bits, and at least
// 1.75 ms (MODBUS over Serial Line V1.02, 2.5.1.1).
func (b *Bus) gap() time.Duration {
	return max(1750*time.Microsecond, 7*11*time.Second/time.Duration(2*b.baud))
}

// A busRequest is a Transporter of the library: it sends one frame and returns the
// answer.
type busRequest struct {
	bus     *Bus
	timeout time.Duration
}

var errNoAnswer = errors.New("no answer in time: are address, rate and wiring right?")

// Send is called with the turn held. Frames of this protocol carry no number,
// so an answer that comes too late must not be taken for that of the next
// request: after a failure the line is left alone until none can come any more.
func (r busRequest) Send(ctx context.Context, frame []byte) ([]byte, error) {
	b := r.bus
	if b.port == nil {
		port, err := openSerial(b.path, b.baud, b.mode, busTick)
		if err != nil {
			return nil, err
		}
		b.port = port
	}
	if d := time.Until(b.quiet); d > 0 && !wait(ctx, d) {
		return nil, ctx.Err()
	}
	if err := b.port.ResetInputBuffer(); err != nil {
		err = b.port.lost(err)
		b.close()
		return nil, err
	}
	answer, err := b.exchange(ctx, frame, r.timeout)
	b.quiet = time.Now().Add(b.gap())
	if err != nil {
		b.quiet = time.Now().Add(max(b.gap(), r.timeout))
	}
	return answer, err
}

func (b *Bus) exchange(ctx context.Context, frame []byte, timeout time.Duration) ([]byte, error) {
	if _, err := b.port.Write(frame); err != nil {
		err = b.port.lost(err)
		b.close()
		return nil, err
	}
	deadline := time.Now().Add(timeout + time.Duration(len(frame)+maxFrame)*11*time.Second/time.Duration(b.baud))
	var answer []byte
	chunk := make([]byte, maxFrame)
	for want := frameHead; len(answer) < want; {
		n, err := b.port.Read(chunk[:want-len(answer)])
		if err != nil {
			err = b.port.lost(err)
			b.close()
			return nil, err
		}
		answer = append(answer, chunk[:n]...)
		if len(answer) >= frameHead {
			if want = frameLength(answer); want == 0 {
				return nil, fmt.Errorf("the answer % x begins like none: is another master on the line?", answer)
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case time.Now().After(deadline) && len(answer) < want:
			return nil, errNoAnswer
		}
	}
	return answer, nil
}

const (
	maxFrame  = 256 // MODBUS over Serial Line V1.02, 2.5.1
	frameHead = 3   // address, function, number of bytes or exception
)

// frameLength returns how long the answer is to a request that reads; 0 if it
// is none.
func frameLength(head []byte) int {
	switch function := head[1]; {
	case function&0x80 != 0:
		return frameHead + 2
	case function >= 1 && function <= 4 && int(head[2])+frameHead+2 <= maxFrame:
		return frameHead + int(head[2]) + 2
	}
	return 0
}
