package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/queue"
)

// maxAnswer bounds what a client reads; a status with every source and outage stays far below it.
const maxAnswer = 8 << 20

// Client asks the running agent. Every method blocks until the agent has answered or ctx ends, and fails with
// ErrNotRunning when no agent listens, or with an *Error when the agent refuses.
type Client struct {
	path string
	http http.Client
}

// NewClient makes a client of the agent whose socket is at path; it connects with the first request.
func NewClient(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true, // nothing lingers, so there is nothing to close
	}
	return c
}

// Status returns how the agent stands.
func (c *Client) Status(ctx context.Context) (agent.Status, error) {
	var st agent.Status
	err := c.ask(ctx, http.MethodGet, "/v1/status", nil, &st)
	return st, err
}

// QueueStats returns the state of the queue.
func (c *Client) QueueStats(ctx context.Context) (agent.QueueStatus, error) {
	var st agent.QueueStatus
	err := c.ask(ctx, http.MethodGet, "/v1/queue/stats", nil, &st)
	return st, err
}

// Usage asks what went over the air.
func (c *Client) Usage(ctx context.Context) (usage.Report, error) {
	var r usage.Report
	err := c.ask(ctx, http.MethodGet, "/v1/usage", nil, &r)
	return r, err
}

// SendOptions say how a message is to travel.
type SendOptions struct {
	QoS    *byte      // nil: the agent's default
	Retain bool       // the broker keeps the message
	Lane   queue.Lane // 0: normal
}

// Send puts one message into the queue and returns its sequence once it is on disk. It keeps no reference to payload.
func (c *Client) Send(ctx context.Context, topic string, payload []byte, opts SendOptions) (seq uint64, err error) {
	if err := queue.ValidateTopic(topic); err != nil {
		return 0, &Error{Code: CodeInvalid, Message: err.Error()}
	}
	query := url.Values{}
	if opts.QoS != nil {
		query.Set("qos", strconv.Itoa(int(*opts.QoS)))
	}
	if opts.Retain {
		query.Set("retain", "true")
	}
	if opts.Lane != 0 {
		query.Set("lane", opts.Lane.String())
	}
	var stored Stored
	err = c.ask(ctx, http.MethodPost, "/v1/messages/"+escapeTopic(topic)+"?"+query.Encode(), payload, &stored)
	return stored.Seq, err
}

// Log returns the last lines of the agent's log.
func (c *Client) Log(ctx context.Context) (Log, error) {
	var l Log
	err := c.ask(ctx, http.MethodGet, "/v1/log", nil, &l)
	return l, err
}

// Reconnect makes the agent connect now, whether it waits for its next attempt or is connected. It returns at once; Status tells
// what comes of it.
func (c *Client) Reconnect(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, "/v1/reconnect", nil, new(struct{}))
}

// escapeTopic makes one path segment of a topic, so that no empty or dotted level is cleaned away on the other side.
func escapeTopic(topic string) string {
	return strings.ReplaceAll(url.PathEscape(topic), ".", "%2E")
}

func (c *Client) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	resp, err := c.do(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("control: the agent's answer on %s can't be read: %w", c.path, err)
	}
	return nil
}

// do sends a request and returns the answer, unless that is a refusal. The caller closes its body.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	// The host only fills the header: the socket's path is the address.
	req, err := http.NewRequestWithContext(ctx, method, "http://fieldpost"+path, body)
	if err != nil {
		return nil, fmt.Errorf("control: the request can't be made: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failure(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	refusal := new(Error)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(refusal); err != nil || refusal.Message == "" {
		return nil, fmt.Errorf("control: the agent on %s answered %s: it may be of another version", c.path, resp.Status)
	}
	return nil, refusal
}

// failure tells an agent that isn't there from one that can't be reached.
func (c *Client) failure(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("%w: nobody listens on %s", ErrNotRunning, c.path)
	case errors.Is(err, fs.ErrPermission):
		return forbidden(c.path)
	}
	return fmt.Errorf("%w: the agent on %s doesn't answer: %w", ErrUnreachable, c.path, err)
}
