package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// fieldpost is the queue of this project. Removals ride in the commit of the next put, as they do in the agent, unless
// they are asked to be safe at once.
type fieldpost struct {
	q *queue.Queue
	r *queue.Reader
}

func openFieldpost(dir string) (store, error) {
	q, err := queue.Open(queue.Config{Path: filepath.Join(dir, "queue.db"), MaxBytes: 1 << 30, ReleaseWait: time.Minute})
	if err != nil {
		return nil, err
	}
	return &fieldpost{q, q.Reader()}, nil
}

func (s *fieldpost) put(msgs []message) error {
	list := make([]queue.Message, len(msgs))
	for i, m := range msgs {
		list[i] = queue.Message{Topic: topic, QoS: 1, Payload: m.payload, Source: "mqtt"}
	}
	_, err := s.q.Put(context.Background(), list...)
	return err
}

func (s *fieldpost) take(n int, sync bool) error {
	seqs := make([]uint64, n)
	for i := range seqs {
		m, err := s.r.Next(context.Background())
		if err != nil {
			return err
		}
		seqs[i] = m.Seq
	}
	if err := s.q.Release(seqs...); err != nil || !sync {
		return err
	}
	return s.q.Sync(context.Background())
}

func (s *fieldpost) close() error { return s.q.Close() }
