package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// ModemInfo asks the agent's module who and where it is.
func (c *Client) ModemInfo(ctx context.Context) (ModemInfo, error) {
	var info ModemInfo
	err := c.ask(ctx, http.MethodGet, "/v1/modem", nil, &info)
	return info, err
}

// ModemCommand sends one AT command to the agent's module, beside the running traffic, and returns the lines of its answer.
func (c *Client) ModemCommand(ctx context.Context, line string, force bool) ([]string, error) {
	var answer commandAnswer
	err := c.post(ctx, "/v1/modem/command", commandRequest{line, force}, &answer)
	return answer.Lines, err
}

// ModemRestart restarts the agent's module and returns when it starts again.
func (c *Client) ModemRestart(ctx context.Context, hard, force bool) error {
	return c.post(ctx, "/v1/modem/restart", restartRequest{hard, force}, &struct{}{})
}

func (c *Client) post(ctx context.Context, path string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("control: the request can't be made: %w", err)
	}
	return c.ask(ctx, http.MethodPost, path, body, answer)
}
