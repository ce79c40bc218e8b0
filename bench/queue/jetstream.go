package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is a NATS server in this process with a work queue on disk that is flushed at each message.
type jetStream struct {
	server   *server.Server
	conn     *nats.Conn
	js       jetstream.JetStream
	consumer jetstream.Consumer
}

func openJetStream(dir string) (_ store, err error) {
	s := &jetStream{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.server, err = server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, err
	}
	s.server.Start()
	if !s.server.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the NATS server doesn't come up")
	}
	if s.conn, err = nats.Connect("", nats.InProcessServer(s.server)); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return nil, err
	}
	ctx := context.Background()
	stream, err := s.js.CreateStream(ctx, jetstream.StreamConfig{Name: "q", Subjects: []string{topic}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage})
	if err != nil {
		return nil, err
	}
	s.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	return s, err
}

func (s *jetStream) put(msgs []message) error {
	if len(msgs) == 1 {
		_, err := s.js.Publish(context.Background(), topic, msgs[0].payload)
		return err
	}
	var waiting []jetstream.PubAckFuture
	for _, m := range msgs {
		f, err := s.js.PublishAsync(topic, m.payload)
		if err != nil {
			return err
		}
		waiting = append(waiting, f)
	}
	for _, f := range waiting {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		}
	}
	return nil
}

func (s *jetStream) take(n int, _ bool) error {
	batch, err := s.consumer.Fetch(n)
	if err != nil {
		return err
	}
	count := 0
	for m := range batch.Messages() {
		if count++; count < n {
			err = m.Ack()
		} else {
			err = m.DoubleAck(context.Background()) // acks are handled in order: this answers for all
		}
		if err != nil {
			return err
		}
	}
	if count < n {
		return errShort
	}
	return batch.Error()
}

func (s *jetStream) close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	return nil
}
