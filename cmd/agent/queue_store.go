package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// queueStore is the queue as the commands see it: through the running agent or in the file of a stopped one.
type queueStore interface {
	stats(context.Context) (agent.QueueStatus, error)
	list(context.Context, queue.Filter, int) (control.Listing, error)
	show(context.Context, uint64) (queue.Message, error)
	export(context.Context, io.Writer) (queue.Exported, error)
	importLines(context.Context, io.Reader) (queue.Imported, error)
	purge(context.Context, queue.Filter, bool, func(queue.Purged)) (queue.Purged, error)
	io.Closer
}

// openStore finds the queue of a configuration. Where there is none, it is made only if create is set.
func openStore(ctx context.Context, cfg setup, create bool) (queueStore, error) {
	var store queueStore
	err := beside(ctx, cfg, func(ctx context.Context, c *control.Client) error {
		store = runningStore{c}
		_, err := c.QueueStats(ctx)
		return storeError(err)
	}, func(context.Context) (err error) {
		store, err = openStopped(cfg.Config, create)
		return err
	})
	return store, err
}

func openStopped(cfg *config.Config, create bool) (queueStore, error) {
	if _, err := os.Stat(cfg.QueueFile()); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, &exitError{exitUnreachable, fmt.Errorf("no agent runs and there is no queue at %s: check data_dir, or start the agent once", cfg.QueueFile())}
	}
	q, err := lookIntoQueue(cfg)
	if err != nil {
		return nil, startError(err)
	}
	if r := q.Recovery(); r != nil {
		fmt.Fprintf(os.Stderr, "fieldpost: the queue's file was damaged (%v) and is now %s: %s saved, %s\n",
			r.Damage, r.SetAside, messages(r.Saved), agent.QueueStatusOf(q).Recovery.LostWords())
	}
	return stoppedStore{q}, nil
}

// storeError gives what the queue or the agent refuses its exit code.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	if err := agentError(err); errors.As(err, new(*exitError)) {
		return err
	}
	for _, passing := range []error{queue.ErrFull, queue.ErrDiskFull, queue.ErrReadOnly, queue.ErrFailed} {
		if errors.Is(err, passing) {
			return &exitError{exitTemporary, err}
		}
	}
	return &exitError{exitFailed, err}
}

// runningStore asks the agent.
type runningStore struct{ client *control.Client }

func (s runningStore) Close() error { return nil }

func (s runningStore) stats(ctx context.Context) (agent.QueueStatus, error) {
	return s.client.QueueStats(ctx)
}

func (s runningStore) list(ctx context.Context, f queue.Filter, limit int) (control.Listing, error) {
	return s.client.List(ctx, f, limit)
}

func (s runningStore) show(ctx context.Context, seq uint64) (queue.Message, error) {
	return s.client.Message(ctx, seq)
}

func (s runningStore) export(ctx context.Context, w io.Writer) (queue.Exported, error) {
	return s.client.Export(ctx, w)
}

func (s runningStore) importLines(ctx context.Context, r io.Reader) (queue.Imported, error) {
	return s.client.Import(ctx, r, nil)
}

func (s runningStore) purge(ctx context.Context, f queue.Filter, dryRun bool, progress func(queue.Purged)) (queue.Purged, error) {
	return s.client.Purge(ctx, f, dryRun, progress)
}

// stoppedStore has the file open itself.
type stoppedStore struct{ queue *queue.Queue }

func (s stoppedStore) Close() error { return s.queue.Close() }

func (s stoppedStore) stats(context.Context) (agent.QueueStatus, error) {
	return agent.QueueStatusOf(s.queue), nil
}

func (s stoppedStore) list(ctx context.Context, f queue.Filter, limit int) (control.Listing, error) {
	return control.List(ctx, s.queue, f, limit)
}

func (s stoppedStore) show(_ context.Context, seq uint64) (queue.Message, error) {
	return s.queue.Get(seq)
}

func (s stoppedStore) export(ctx context.Context, w io.Writer) (queue.Exported, error) {
	return s.queue.Export(ctx, w, nil)
}

func (s stoppedStore) importLines(ctx context.Context, r io.Reader) (queue.Imported, error) {
	return s.queue.Import(ctx, r, nil)
}

func (s stoppedStore) purge(ctx context.Context, f queue.Filter, dryRun bool, progress func(queue.Purged)) (queue.Purged, error) {
	return s.queue.Purge(ctx, f.Match, dryRun, progress)
}
