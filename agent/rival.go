package agent

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// rival counts sessions that the broker has ended soon after they stood, in a row. MQTT 3.1.1 doesn't say why a broker hangs up; when it
// does so again and again, the likeliest reason is a second device with the same client id, and people don't think of it.
type rival struct{ row int }

const (
	rivalStood = 5 * time.Minute // a session that stood for longer is no part of a row
	rivalRow   = 3
)

// ended takes the end of a session that stood for so long, and returns what is to be told of it.
func (r *rival) ended(err error, stood time.Duration) error {
	switch {
	case stood >= rivalStood:
		r.row = 0
		return err
	case !errors.Is(err, io.EOF):
		return err
	}
	if r.row++; r.row < rivalRow {
		return err
	}
	told := LinkError{Cause: CauseOf(err)}
	if inner, ok := errors.AsType[*LinkError](err); ok {
		told = *inner
	}
	told.Err, told.Why = err, fmt.Sprintf("%s; the broker has hung up %d times in a row soon after it had let us in: "+
		"does another device use the same client id?", whyOf(err), r.row)
	return &told
}
