package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/queue"
)

const messagesPath = "/v1/messages"

// handler serves the two forms of POST. The path is not cleaned: "a//b" is a
// topic of three levels.
func (s *HTTP) handler(log zerolog.Logger, address string) http.Handler {
	return s.guard(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, batch, ok := s.reader(r.URL.EscapedPath())
		if !ok {
			fail(w, http.StatusNotFound, "not_found", "there is nothing at "+r.URL.Path, "use POST /v1/messages/TOPIC")
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "the method is "+r.Method, "use POST")
			return
		}
		if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
			fail(w, http.StatusUnsupportedMediaType, "unsupported_media_type", "the content coding is "+coding, "send the body as it is")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), acceptTimeout)
		defer cancel()
		if batch {
			if !s.batches.take(ctx.Done()) {
				s.answer(w, log, 1, errors.New("source: too many batches are on their way at once"))
				return
			}
			defer s.batches.pass()
		}
		msgs, err := read(w, r)
		if err != nil {
			s.answer(w, log, max(len(msgs), 1), err)
			return
		}
		if wait := s.shares.of(bareHost(r.RemoteAddr)).try(len(msgs), sizeOf(msgs...)); wait > 0 {
			s.slowDown(w, len(msgs), wait)
			return
		}
		ctx, cancel = context.WithTimeout(r.Context(), acceptTimeout) // anew: what came before is not the disk's fault
		defer cancel()
		first, err := s.cfg.Sink.Accept(ctx, msgs...)
		if err != nil {
			s.answer(w, log, len(msgs), err)
			return
		}
		s.tally.accepted(msgs)
		reply(w, http.StatusAccepted, map[string]any{"schema": 1, "accepted": len(msgs), "first_seq": first})
	}))
}

// A readFunc returns the messages of a request, checked.
type readFunc func(http.ResponseWriter, *http.Request) ([]queue.Message, error)

// reader returns what reads the requests at a path, and whether they may hold many messages.
func (s *HTTP) reader(escapedPath string) (read readFunc, batch, ok bool) {
	if escapedPath == influxPath {
		return s.readInflux, true, true
	}
	rest, ok := strings.CutPrefix(escapedPath, messagesPath)
	if !ok || rest != "" && rest[0] != '/' {
		return nil, false, false
	}
	topic := strings.TrimPrefix(rest, "/")
	return func(w http.ResponseWriter, r *http.Request) ([]queue.Message, error) {
		return s.read(w, r, topic)
	}, topic == "", true
}

// unsupported is a content type that has no meaning here.
type unsupported string

func (e unsupported) Error() string { return string(e) }

// read returns the messages of a request, checked.
func (s *HTTP) read(w http.ResponseWriter, r *http.Request, escapedTopic string) ([]queue.Message, error) {
	base, err := s.base(r, nil)
	if err != nil {
		return nil, err
	}
	if escapedTopic == "" {
		return s.readLines(w, r, base)
	}
	base.Topic, err = url.PathUnescape(escapedTopic)
	if err != nil {
		return nil, refuse(Invalid, "the topic in the path is not encoded well: %v", err)
	}
	// The topic is judged before a body is waited for.
	if err := s.cfg.Limits.Check(base); err != nil {
		return nil, err
	}
	base.Payload, err = readBody(w, r, s.cfg.Limits.maxPayload())
	if err != nil {
		return nil, err
	}
	return []queue.Message{base}, nil
}

// base returns a message with what the query says about all of them. Parameters
// that have another meaning are in other.
func (s *HTTP) base(r *http.Request, other map[string]*string) (queue.Message, error) {
	m := queue.Message{QoS: s.cfg.QoS, Source: s.Name()}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return m, refuse(Invalid, "the query is not encoded well: %v", err)
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "qos":
			qos, err := strconv.ParseUint(value, 10, 8)
			if err != nil {
				return m, refuse(Invalid, "qos is %.20q; it can be 0, 1 or 2", value)
			}
			m.QoS = byte(qos)
		case "retain":
			if m.Retain, err = strconv.ParseBool(value); err != nil {
				return m, refuse(Invalid, "retain is %.20q; it can be true or false", value)
			}
		case "lane":
			if m.Lane, err = parseLane(value); err != nil {
				return m, err
			}
		case "expiry":
			if m.Expires, err = parseExpiry(value); err != nil {
				return m, err
			}
		default:
			if to := other[name]; to != nil {
				*to = value
				continue
			}
			return m, refuse(Invalid, "the parameter %.20q is not known; there are qos, retain, lane and expiry", name)
		}
	}
	return m, nil
}

func parseLane(text string) (queue.Lane, error) {
	lane, err := queue.ParseLane(text)
	if err != nil {
		return 0, refuse(Invalid, "lane is %.20q; it can be alarm, normal or bulk", text)
	}
	return lane, nil
}

func parseExpiry(text string) (time.Time, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, refuse(Invalid, "expiry is %.20q; it is a time span such as 90s, 15m or 24h", text)
	}
	return time.Now().Add(d), nil
}

func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(TooLarge, "the body has more than %d bytes", limit)
	case err != nil:
		return nil, refuse(Invalid, "the body broke off: %w", err)
	}
	return body, nil
}

// answer says no.
func (s *HTTP) answer(w http.ResponseWriter, log zerolog.Logger, messages int, err error) {
	s.tally.refused(messages, err)
	log.Warn().Err(err).Int("messages", messages).Msg("request refused")
	var media unsupported
	if errors.As(err, &media) {
		fail(w, http.StatusUnsupportedMediaType, "unsupported_media_type", err.Error(), "send it with Content-Type: application/x-ndjson")
		return
	}
	switch ReasonOf(err) {
	case Invalid:
		fail(w, http.StatusBadRequest, "invalid", err.Error(), "correct it; it would be refused again")
	case TooLarge:
		fail(w, http.StatusRequestEntityTooLarge, "too_large", err.Error(), "send less at a time, or raise limits.max_payload")
	case Full:
		fail(w, http.StatusInsufficientStorage, "full", err.Error(), "keep it and try again when the link has drained the queue")
	default:
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "temporary", err.Error(), "keep it and try again")
	}
}

// slowDown tells a client that brings too much when there will be room for the same request.
func (s *HTTP) slowDown(w http.ResponseWriter, messages int, wait time.Duration) {
	s.tally.slowed(messages)
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	fail(w, http.StatusTooManyRequests, "too_many", "this client brings more than its share",
		"send it again after Retry-After seconds, or raise limits.client_messages and limits.client_bytes")
}

// sizeOf is what messages weigh for a Rate.
func sizeOf(msgs ...queue.Message) (bytes int) {
	for _, m := range msgs {
		bytes += len(m.Topic) + len(m.Payload)
	}
	return bytes
}

// fail writes an error: what is wrong and what to do.
func fail(w http.ResponseWriter, status int, code, message, hint string) {
	reply(w, status, map[string]any{"schema": 1, "code": code, "error": message, "hint": hint})
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("source: a reply that can't be written: %v", err)) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who hung up learns nothing, and will repeat
}

// isLines reports whether a content type stands for JSON lines.
func isLines(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/x-ndjson" || media == "application/jsonl" || media == "application/json-lines")
}
