package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// Queue is what the commands do with the agent's queue, beside putting messages into it; *queue.Queue is one.
type Queue interface {
	Get(seq uint64) (queue.Message, error)
	All() iter.Seq2[queue.Message, error]
	Export(ctx context.Context, w io.Writer, progress func(queue.Exported)) (queue.Exported, error)
	Import(ctx context.Context, r io.Reader, progress func(queue.Imported)) (queue.Imported, error)
	Purge(ctx context.Context, match func(queue.Message) bool, dryRun bool, progress func(queue.Purged)) (queue.Purged, error)
}

const (
	// maxJobs of the long routes run at a time: more would only share one disk, and each may hold a large message.
	maxJobs = 4
	// stall is how long a long route waits for a command that neither reads nor sends, such as one behind a pager.
	stall = 10 * time.Minute
)

// handleQueue adds the routes of the queue.
func (s *Server) handleQueue() {
	s.mux.HandleFunc("GET /v1/queue/messages", s.job(s.list))
	s.mux.HandleFunc("GET /v1/queue/messages/{seq}", s.show)
	s.mux.HandleFunc("GET /v1/queue/export", s.job(s.export))
	s.mux.HandleFunc("POST /v1/queue/import", s.job(s.importLines))
	s.mux.HandleFunc("POST /v1/queue/purge", s.job(s.purge))
}

// job bounds how many of the long routes run, and lifts the server's limits on their time: what is bounded is how long
// nothing moves.
func (s *Server) job(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.jobs <- struct{}{}:
			defer func() { <-s.jobs }()
		default:
			fail(w, http.StatusServiceUnavailable, CodeTemporary,
				fmt.Sprintf("control: %d commands work on the queue already: try again when one of them has ended", maxJobs))
			return
		}
		p := patience{http.NewResponseController(w)}
		p.read()
		p.write()
		handle(w, r)
	}
}

// patience moves the deadlines of a connection on. A connection that knows none has no limit to lift.
type patience struct{ conn *http.ResponseController }

func (p patience) read()  { _ = p.conn.SetReadDeadline(time.Now().Add(stall)) }
func (p patience) write() { _ = p.conn.SetWriteDeadline(time.Now().Add(stall)) }

// patientBody is a request's body that may come slowly.
type patientBody struct {
	io.Reader
	patience
}

func (b patientBody) Read(p []byte) (int, error) {
	b.read()
	return b.Reader.Read(p)
}

// patientAnswer is an answer that may be read slowly.
type patientAnswer struct {
	io.Writer
	patience
}

func (a patientAnswer) Write(p []byte) (int, error) {
	a.write()
	return a.Writer.Write(p)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	filter, rest, err := filterOf(r.URL.Query(), "limit")
	if err != nil {
		fail(w, http.StatusBadRequest, CodeInvalid, err.Error())
		return
	}
	limit, err := strconv.Atoi(rest["limit"])
	if err != nil || limit < 1 || limit > MaxRows {
		fail(w, http.StatusBadRequest, CodeInvalid, fmt.Sprintf("control: limit %q is no number from 1 to %d", rest["limit"], MaxRows))
		return
	}
	list, err := List(r.Context(), s.cfg.Queue, filter, limit)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, CodeTemporary, err.Error())
		return
	}
	reply(w, http.StatusOK, list)
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, CodeInvalid, fmt.Sprintf("control: %q is no sequence", r.PathValue("seq")))
		return
	}
	m, err := s.cfg.Queue.Get(seq)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		fail(w, http.StatusNotFound, CodeNotFound, err.Error())
	case errors.Is(err, queue.ErrDamaged):
		fail(w, http.StatusInternalServerError, CodeDamaged, err.Error())
	case err != nil:
		fail(w, http.StatusServiceUnavailable, CodeTemporary, err.Error())
	default:
		reply(w, http.StatusOK, m)
	}
}

// trailerResult is where the result of an export stands, behind its lines: an answer without it was cut off.
const trailerResult = "Fieldpost-Result"

func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", trailerResult)
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	done, err := s.cfg.Queue.Export(r.Context(), patientAnswer{w, patience{http.NewResponseController(w)}}, nil)
	text, err := json.Marshal(newEvent(true, done, err))
	if err != nil {
		panic(http.ErrAbortHandler) // the command sees the answer end early
	}
	w.Header().Set(trailerResult, string(text))
}

func (s *Server) importLines(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil { // the answer begins while the lines still come
		fail(w, http.StatusInternalServerError, CodeTemporary, "control: "+err.Error())
		return
	}
	out := newEvents[queue.Imported](w)
	done, err := s.cfg.Queue.Import(r.Context(), patientBody{r.Body, patience{rc}}, func(done queue.Imported) { out.send(false, done, nil) })
	out.send(true, done, err)
}

func (s *Server) purge(w http.ResponseWriter, r *http.Request) {
	filter, rest, err := filterOf(r.URL.Query(), "dry_run")
	if err != nil {
		fail(w, http.StatusBadRequest, CodeInvalid, err.Error())
		return
	}
	dryRun, err := strconv.ParseBool(rest["dry_run"])
	if err != nil {
		fail(w, http.StatusBadRequest, CodeInvalid, fmt.Sprintf("control: dry_run %q is neither true nor false", rest["dry_run"]))
		return
	}
	out := newEvents[queue.Purged](w)
	done, err := s.cfg.Queue.Purge(r.Context(), filter.Match, dryRun, func(done queue.Purged) { out.send(false, done, nil) })
	out.send(true, done, err)
}

// filterOf reads a filter, and the value of the keys beside it. Keys that nobody knows are refused: a misspelt one would
// select more than was meant.
func filterOf(query url.Values, keys ...string) (f queue.Filter, rest map[string]string, err error) {
	rest = make(map[string]string)
	for _, key := range keys {
		rest[key] = query.Get(key)
		query.Del(key)
	}
	for key := range query {
		value := query.Get(key)
		switch key {
		case "lane":
			f.Lane, err = queue.ParseLane(value)
		case "topic":
			f.Topic = value
		case "last":
			f.Last, err = strconv.ParseUint(value, 10, 64)
		default:
			err = fmt.Errorf("control: %q is no filter", key)
		}
		if err != nil {
			return f, nil, err
		}
	}
	return f, rest, nil
}

func filterQuery(f queue.Filter) url.Values {
	query := url.Values{}
	if f.Lane != 0 {
		query.Set("lane", f.Lane.String())
	}
	if f.Topic != "" {
		query.Set("topic", f.Topic)
	}
	if f.Last != 0 {
		query.Set("last", strconv.FormatUint(f.Last, 10))
	}
	return query
}
