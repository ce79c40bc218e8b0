package control

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/queue"
)

const (
	// MaxRows is the most that a Listing holds.
	MaxRows = 1000
	// maxList bounds the size of a Listing below what a Client reads: topics can be long.
	maxList = maxAnswer / 2
	// previewBytes of a payload are shown: what fits a line of a terminal beside the rest.
	previewBytes = 60
)

// Row is what a list shows of a message.
type Row struct {
	Seq          uint64     `json:"seq"`
	ID           string     `json:"id"`
	Lane         string     `json:"lane"`
	Topic        string     `json:"topic"`
	QoS          byte       `json:"qos"`
	Retain       bool       `json:"retain"`
	PayloadBytes int        `json:"payload_bytes"`
	Preview      string     `json:"payload_preview"` // the beginning, see Escape
	Cut          bool       `json:"payload_cut"`     // the preview isn't all of it
	Source       string     `json:"source"`
	Time         time.Time  `json:"time"`
	Trust        string     `json:"trust"`
	Expires      *time.Time `json:"expires"`
	Attempts     uint32     `json:"attempts"`
}

// Listing is a part of the queue in the order of delivery.
type Listing struct {
	Schema   int   `json:"schema"` // 1
	Messages []Row `json:"messages"`
	More     bool  `json:"more"`    // others match too
	Damaged  int   `json:"damaged"` // records that were passed over, since they fail their checksum
}

// List reads the first messages that the filter selects, at most limit.
func List(ctx context.Context, q Queue, filter queue.Filter, limit int) (Listing, error) {
	list := Listing{Schema: 1, Messages: []Row{}}
	size := 0
	for m, err := range q.All() {
		if errors.Is(err, queue.ErrDamaged) && m.Seq != 0 {
			list.Damaged++
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Listing{}, err
		}
		if !filter.Match(m) {
			continue
		}
		if len(list.Messages) == limit || size > maxList {
			list.More = true
			break
		}
		list.Messages = append(list.Messages, row(m))
		size += 6*len(m.Topic) + 1000 // JSON takes six characters for a control character
	}
	return list, nil
}

func row(m queue.Message) Row {
	r := Row{
		Seq: m.Seq, ID: m.ID.String(), Lane: m.Lane.String(), Topic: m.Topic, QoS: m.QoS, Retain: m.Retain,
		PayloadBytes: len(m.Payload), Source: m.Source, Time: m.Time, Trust: m.Trust.String(), Attempts: m.Attempts,
	}
	r.Preview, r.Cut = Preview(m.Payload)
	if !m.Expires.IsZero() {
		r.Expires = &m.Expires
	}
	return r
}

// Preview returns the beginning of a payload, so that a terminal shows it in a line and obeys none of it, and whether
// there is more.
func Preview(payload []byte) (text string, cut bool) {
	if cut = len(payload) > previewBytes; cut {
		end := previewBytes
		for back := range utf8.UTFMax { // not in the middle of a character
			if utf8.RuneStart(payload[previewBytes-back]) {
				end = previewBytes - back
				break
			}
		}
		payload = payload[:end]
	}
	return Escape(string(payload)), cut
}

// Escape makes a text of any bytes one that a terminal shows in a line and obeys none of: what can't be printed is written
// as in a Go string.
func Escape(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}
