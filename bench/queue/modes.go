package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// errShort: the store has fewer messages than were put into it.
var errShort = errors.New("messages are missing")

// short is the length of a short queue, as an agent has while its link stands.
const short = 200

// mode is a way of using a store. measure returns its figures.
type mode struct {
	name    string
	measure func(s store, d *disk, seconds float64) (map[string]float64, error)
}

func modes() []mode {
	return []mode{
		{"one", one},
		{"group64", group64},
		{"batch100", batch100},
		{"life1", func(s store, d *disk, seconds float64) (map[string]float64, error) { return life(s, d, 1, seconds) }},
		{"life10", func(s store, d *disk, seconds float64) (map[string]float64, error) { return life(s, d, 10, seconds) }},
	}
}

// one producer puts one message after the other.
func one(s store, _ *disk, seconds float64) (map[string]float64, error) {
	n := uint64(0)
	took, err := during(seconds, func() error {
		n++
		return s.put([]message{newMessage(n)})
	})
	return map[string]float64{"rate:msg/s": float64(n) / took}, err
}

// group64 is 64 producers at once.
func group64(s store, _ *disk, seconds float64) (map[string]float64, error) {
	var n atomic.Uint64
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	begin := time.Now()
	for range 64 {
		wg.Go(func() {
			_, err := during(seconds, func() error { return s.put([]message{newMessage(n.Add(1))}) })
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return map[string]float64{"rate:msg/s": float64(n.Load()) / time.Since(begin).Seconds()}, nil
}

// batch100 puts 100 at a time, and takes 100 out for good.
func batch100(s store, _ *disk, seconds float64) (map[string]float64, error) {
	n, err := fillShort(s)
	if err != nil {
		return nil, err
	}
	filled := n
	took, err := during(seconds, func() error {
		if err := s.put(some(&n, 100)); err != nil {
			return err
		}
		return s.take(100, true)
	})
	return map[string]float64{"rate:msg/s": float64(n-filled) / took}, err
}

// life is a message's whole life in a short queue, k at a time. With a disk of its own it is paced, one step in 5 ms: at
// full speed many commits would share one tick of the file system's clock, which spares stores that flush it.
func life(s store, d *disk, k int, seconds float64) (map[string]float64, error) {
	n, err := fillShort(s)
	if err != nil {
		return nil, err
	}
	step := func() error {
		if err := s.put(some(&n, k)); err != nil {
			return err
		}
		return s.take(k, false)
	}
	if d == nil {
		filled := n
		took, err := during(seconds, step)
		return map[string]float64{"rate:msg/s": float64(n-filled) / took}, err
	}
	for range 20 {
		if err := step(); err != nil {
			return nil, err
		}
	}
	bytes, flushes, err := d.written()
	if err != nil {
		return nil, err
	}
	filled := n
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	if _, err := during(seconds, func() error {
		<-pace.C
		return step()
	}); err != nil {
		return nil, err
	}
	bytes2, flushes2, err := d.written()
	msgs := float64(n - filled)
	return map[string]float64{
		"device_bytes_per_message:B": float64(bytes2-bytes) / msgs,
		"flushes_per_message:":       float64(flushes2-flushes) / msgs,
	}, err
}

// backlogged is a lone producer at a backlog of so many messages, and again after they were taken out. It is no measure of stores that
// flush for each message of a put: they would take an hour to be filled.
func backlogged(s store, d *disk, backlog uint64, seconds float64) (map[string]float64, error) {
	const k = 1000
	n := uint64(0)
	for n < backlog {
		if err := s.put(some(&n, k)); err != nil {
			return nil, err
		}
	}
	got := make(map[string]float64)
	measure := func(when string) error {
		var bytes, bytes2 uint64
		var err error
		if d != nil {
			if bytes, _, err = d.written(); err != nil {
				return err
			}
		}
		before := n
		took, err := during(seconds, func() error { return s.put(some(&n, 1)) })
		if err != nil {
			return err
		}
		got[when+"_rate:msg/s"] = float64(n-before) / took
		if d == nil {
			return nil
		}
		bytes2, _, err = d.written()
		got[when+"_bytes_per_message:B"] = float64(bytes2-bytes) / float64(n-before)
		return err
	}
	if err := measure("full"); err != nil {
		return nil, err
	}
	for left := n - short; left > 0; left -= min(left, k) { // one must stay in the log
		if err := s.take(int(min(left, k)), true); err != nil {
			return nil, err
		}
	}
	return got, measure("drained")
}

func fillShort(s store) (n uint64, err error) {
	for n < short && err == nil {
		err = s.put(some(&n, 100))
	}
	return n, err
}

func some(n *uint64, k int) []message {
	msgs := make([]message, k)
	for i := range msgs {
		*n++
		msgs[i] = newMessage(*n)
	}
	return msgs
}

// during repeats step until the time is over, and returns how long that took.
func during(seconds float64, step func() error) (took float64, err error) {
	begin := time.Now()
	for i := 0; ; i++ {
		if took = time.Since(begin).Seconds(); took >= seconds {
			return took, nil
		}
		if err := step(); err != nil {
			return took, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
}
