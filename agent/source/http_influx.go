package source

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

const influxPath = "/v1/influx"

// readInflux returns the messages of a body in influx's line protocol. Lines
// that begin with # are comments.
func (s *HTTP) readInflux(w http.ResponseWriter, r *http.Request) ([]queue.Message, error) {
	var precision string
	base, err := s.base(r, map[string]*string{"precision": &precision})
	if err != nil {
		return nil, err
	}
	parse, err := reading.NewParser(reading.Format{Kind: "influx", Precision: precision})
	if err != nil {
		return nil, &Refusal{Invalid, err}
	}
	body, err := readBody(w, r, max(maxBatchBytes, s.cfg.Limits.maxPayload()))
	if err != nil {
		return nil, err
	}
	rule := s.cfg.Influx
	rule.Origin, rule.QoS, rule.Lane = s.Name(), base.QoS, base.Lane
	maker, now := reading.NewMaker(rule), time.Now()
	trust := agent.ClockTrust(now)
	var msgs []queue.Message
	number := 0
	for text := range bytes.Lines(body) {
		number++
		if text = bytes.TrimSpace(text); len(text) == 0 || text[0] == '#' {
			continue
		}
		set, err := parse(text)
		if err != nil {
			return msgs, refuse(Invalid, "line %d: %s", number, strings.TrimPrefix(err.Error(), "reading: "))
		}
		made, err := maker.Make(set, now, trust)
		if err != nil {
			return msgs, refuse(Invalid, "line %d: %s", number, strings.TrimPrefix(err.Error(), "reading: "))
		}
		for _, m := range made {
			m.Retain = base.Retain
			if !base.Expires.IsZero() {
				m.Expires = base.Expires
				if !m.Time.IsZero() { // what counts is the span behind the reading
					m.Expires = m.Time.Add(base.Expires.Sub(now))
				}
			}
			if err := s.cfg.Limits.Check(m); err != nil {
				return msgs, refuse(ReasonOf(err), "line %d: %s", number, strings.TrimPrefix(err.Error(), "source: "))
			}
			msgs = append(msgs, m)
		}
		if len(msgs) > maxBatch {
			return msgs, refuse(TooLarge, "the lines make more than %d messages", maxBatch)
		}
	}
	if len(msgs) == 0 {
		return nil, refuse(Invalid, "there is no line in the body")
	}
	return msgs, nil
}
