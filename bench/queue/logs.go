package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/eclipse/paho.golang/autopaho/queue/file"
	"github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/tidwall/wal"
)

// walStore is the write-ahead log that some telemetry agents buffer with. It is flushed at each write.
type walStore struct {
	mu          sync.Mutex // guards the rest: the log wants indexes without gaps
	log         *wal.Log
	first, last uint64
}

func openWAL(dir string) (store, error) {
	log, err := wal.Open(filepath.Join(dir, "wal"), nil)
	return &walStore{log: log, first: 1}, err
}

func (s *walStore) put(msgs []message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch wal.Batch
	for i, m := range msgs {
		batch.Write(s.last+1+uint64(i), m.bytes())
	}
	if err := s.log.WriteBatch(&batch); err != nil {
		return err
	}
	s.last += uint64(len(msgs))
	return nil
}

func (s *walStore) take(n int, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		if _, err := s.log.Read(s.first); err != nil {
			return err
		}
		s.first++
	}
	return s.log.TruncateFront(s.first) // which needs at least one to stay: the modes see to it
}

func (s *walStore) close() error { return s.log.Close() }

// pahoStore is the file store of the MQTT 3 client: a file for each message, never flushed.
type pahoStore struct {
	mu          sync.Mutex // guards the rest
	files       *mqtt.FileStore
	first, last uint64
}

func openPahoStore(dir string) (store, error) {
	s := &pahoStore{files: mqtt.NewFileStore(dir), first: 1}
	s.files.Open()
	return s, nil
}

func (s *pahoStore) put(msgs []message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range msgs {
		s.last++
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.TopicName, p.Payload, p.Qos, p.MessageID = topic, m.payload, 1, uint16(s.last)
		s.files.Put(fmt.Sprint("o.", s.last), p)
	}
	return nil
}

func (s *pahoStore) take(n int, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		key := fmt.Sprint("o.", s.first)
		if s.files.Get(key) == nil {
			return errShort
		}
		s.files.Del(key)
		s.first++
	}
	return nil
}

func (s *pahoStore) close() error {
	s.files.Close()
	return nil
}

// autopahoFiles is the file queue of the MQTT 5 client: a file for each message, never flushed.
type autopahoFiles struct{ q *file.Queue }

func openAutopaho(dir string) (store, error) {
	q, err := file.New(dir, "q", ".msg")
	return &autopahoFiles{q}, err
}

func (s *autopahoFiles) put(msgs []message) error {
	for _, m := range msgs {
		if err := s.q.Enqueue(bytes.NewReader(m.bytes())); err != nil {
			return err
		}
	}
	return nil
}

func (s *autopahoFiles) take(n int, _ bool) error {
	for range n {
		e, err := s.q.Peek()
		if err != nil {
			return err
		}
		r, err := e.Reader()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		if err := e.Remove(); err != nil {
			return err
		}
	}
	return nil
}

func (s *autopahoFiles) close() error { return nil }
