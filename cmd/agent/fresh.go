package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// sessionMark remembers for which queue file the broker keeps the session. A new queue file knows nothing of the packet
// ids that the broker may still hold: a QoS 2 message under one of them would be taken for a repeat and swallowed. So the
// first connection of a queue file asks for a clean session, once.
type sessionMark struct {
	path  string // "": nothing is remembered
	queue *queue.Queue
}

func (s sessionMark) text(clientID, broker string) string {
	epoch := s.queue.Epoch()
	return hex.EncodeToString(epoch[:]) + " " + clientID + " " + broker + "\n"
}

// discard makes the broker forget an older session, unless it belongs to this queue file and was the last one. It reports
// whether it did: then what was on its way elsewhere must not be resumed here, but is published anew.
func (s sessionMark) discard(ctx context.Context, dial mqttconn.DialFunc, cfg mqttconn.Config, broker string) (bool, error) {
	if s.path == "" {
		return false, nil
	}
	old, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("session mark: %w", err)
	}
	if string(old) == s.text(cfg.ClientID, broker) {
		return false, nil
	}
	cfg.Clean, cfg.Will, cfg.Resume = true, nil, nil
	session, err := mqttconn.Connect(ctx, dial, cfg)
	if err != nil {
		return false, err
	}
	if err := session.Close(ctx); err != nil {
		return false, err
	}
	if err := os.WriteFile(s.path, []byte(s.text(cfg.ClientID, broker)), 0o600); err != nil {
		return false, fmt.Errorf("session mark: %w", err)
	}
	return true, nil
}
