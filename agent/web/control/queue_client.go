package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/fieldpost/fieldpost/queue"
)

// List returns the first messages that the filter selects, at most limit and MaxRows.
func (c *Client) List(ctx context.Context, filter queue.Filter, limit int) (Listing, error) {
	query := filterQuery(filter)
	query.Set("limit", strconv.Itoa(limit))
	var list Listing
	err := c.ask(ctx, http.MethodGet, "/v1/queue/messages?"+query.Encode(), nil, &list)
	return list, err
}

// Message returns one message; one that isn't there gives an *Error with CodeNotFound.
func (c *Client) Message(ctx context.Context, seq uint64) (queue.Message, error) {
	var m queue.Message
	err := c.ask(ctx, http.MethodGet, fmt.Sprint("/v1/queue/messages/", seq), nil, &m)
	return m, err
}

// Export writes all messages to w as queue.Queue.Export does; what has been written when it fails is a part of them.
func (c *Client) Export(ctx context.Context, w io.Writer) (queue.Exported, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/queue/export", nil)
	if err != nil {
		return queue.Exported{}, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, sure{resp.Body}); err != nil {
		return queue.Exported{}, err
	}
	var last event[queue.Exported]
	if err := json.Unmarshal([]byte(resp.Trailer.Get(trailerResult)), &last); err != nil {
		return queue.Exported{}, errCutOff(io.EOF)
	}
	if last.Err != nil {
		return last.State, last.Err
	}
	return last.State, nil
}

// sure tells an answer that was cut off from an error of whoever it is copied to.
type sure struct{ io.Reader }

func (s sure) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = errCutOff(err)
	}
	return n, err
}

// Import puts the messages of an export into the queue as queue.Queue.Import does. It reads r in another goroutine, which
// ends when r does or Import has returned and r yields once more.
func (c *Client) Import(ctx context.Context, r io.Reader, progress func(queue.Imported)) (queue.Imported, error) {
	resp, err := c.do(ctx, http.MethodPost, "/v1/queue/import", io.NopCloser(r))
	if err != nil {
		return queue.Imported{}, err
	}
	defer resp.Body.Close()
	return follow(resp.Body, progress)
}

// Purge drops the messages that the filter selects as queue.Queue.Purge does, or only counts them with dryRun.
func (c *Client) Purge(ctx context.Context, filter queue.Filter, dryRun bool, progress func(queue.Purged)) (queue.Purged, error) {
	query := filterQuery(filter)
	query.Set("dry_run", strconv.FormatBool(dryRun))
	resp, err := c.do(ctx, http.MethodPost, "/v1/queue/purge?"+query.Encode(), nil)
	if err != nil {
		return queue.Purged{}, err
	}
	defer resp.Body.Close()
	return follow(resp.Body, progress)
}
