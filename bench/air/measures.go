package main

import (
	"errors"
	"fmt"
	"time"
)

const (
	single   = 8   // readings one at a time
	draining = 400 // readings at once
	apart    = 2500 * time.Millisecond

	publishBytes = 137 // of such a reading as MQTT
)

// measureSingle sends readings one at a time.
func measureSingle(b *bench, how setup) ([]figure, error) {
	s, err := b.start(how, "")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	each, err := b.send(s, single, apart)
	return []figure{{metric: "single", unit: "B/msg", value: each}}, err
}

// measureDraining sends many at once.
func measureDraining(b *bench, how setup) ([]figure, error) {
	each, err := b.drain(how, "", draining)
	return []figure{{metric: "draining", unit: "B/msg", value: each}}, err
}

// measureTen sends the same, ten in each PUBLISH: random bytes, which nothing makes shorter, and random hexadecimal digits with deflate.
func measureTen(b *bench, how setup) ([]figure, error) {
	how.format = "{format: batch, compress: none, batch: {max_messages: 10}}"
	plain, err := b.drain(how, "", draining)
	if err != nil {
		return nil, err
	}
	how.format = "{format: batch, compress: deflate, batch: {max_messages: 10}}"
	deflated, err := b.drain(how, "digits", draining)
	return []figure{{metric: "ten", unit: "B/msg", value: plain}, {metric: "ten_deflate", unit: "B/msg", value: deflated}}, err
}

// measureBatch sends the sample readings, the agent in batches with deflate.
func measureBatch(b *bench, how setup) ([]figure, error) {
	how.format = "{format: batch, compress: deflate}"
	each, err := b.drain(how, b.readings, 0)
	return []figure{{metric: "batch", unit: "B/msg", value: each}}, err
}

// drain measures what each of n readings costs that are published at once; 0: all of the payloads' file.
func (b *bench) drain(how setup, payloads string, n int) (each float64, err error) {
	s, err := b.start(how, payloads)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	var runs []float64
	for range b.repeat {
		if each, err = b.send(s, n, 0); err != nil {
			return 0, err
		}
		runs = append(runs, each)
	}
	return median(runs), nil
}

// measureBreak ends the connection in the middle of a burst, by killing the broker, and counts what is sent up in all, above TCP.
func measureBreak(b *bench, how setup) ([]figure, error) {
	const (
		middle = 8 * time.Second  // of the 18 that the burst takes
		away   = time.Second      // is the broker
		most   = 35 * time.Second // does a peer wait until it connects again; the bridge waits up to 30
	)
	s, err := b.start(how, "")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	b.settled()
	before := b.sentUp()
	if err := s.begin(draining, 0); err != nil {
		return nil, err
	}
	time.Sleep(middle)
	at := b.sentUp() - before
	if at == 0 || at > draining*publishBytes*9/10 {
		return nil, errors.New("the burst is not in its middle: the break would prove nothing")
	}
	b.kill()
	time.Sleep(away)
	if err := b.cloud(); err != nil {
		return nil, err
	}
	steady(b.sentUp, most) // Paho doesn't tell the publisher of all, and is never silent: TCP asks every 15 s whether the other end is there
	total := b.sentUp() - before
	if total < draining*publishBytes {
		return nil, fmt.Errorf("only %d bytes were sent for %d messages", total, draining)
	}
	return []figure{{metric: "break_payload_vs_ideal", value: float64(total) / (draining * publishBytes)}}, nil
}

// measurePing measures a ping of an idle connection, both ways.
func measurePing(b *bench, how setup) ([]figure, error) {
	how.keepalive = 30 * time.Second // the shortest that the agent takes
	s, err := b.start(how, "")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	before, up := b.settled(), b.sentUp()
	time.Sleep(4 * how.keepalive)
	each := 2 // PINGREQ
	if how.secure {
		each += 22 // its record
	}
	spent := b.settled() - before
	pings := (b.sentUp() - up) / each
	if pings == 0 {
		return nil, errors.New("no ping in four keepalives")
	}
	return []figure{{metric: "ping", unit: "B", value: float64(spent) / float64(pings)}}, nil
}

// measureHandshakes counts the agent's connections under TLS 1.3 with a P-256 certificate: TCP, TLS, MQTT and the goodbye, without
// readings. They are begun by starting the agent and ended by stopping it; what it resumes with comes from its disk. With presence
// an agent that stops has a last word, one that connects anew has not: there the goodbye is taken from those without presence.
func measureHandshakes(b *bench, how setup) (figures []figure, err error) {
	var goodbye float64
	for _, presence := range []bool{false, true} {
		how.presence = presence
		// The first connection of a queue is two, for the broker has to forget what an older queue may have left there.
		if _, _, err := b.visit(how); err != nil {
			return nil, err
		}
		var full, resumed, goodbyes []float64
		for range b.repeat {
			if err := b.forgetTickets(); err != nil {
				return nil, err
			}
			for _, runs := range []*[]float64{&full, &resumed} {
				opening, closing, err := b.visit(how)
				if err != nil {
					return nil, err
				}
				*runs, goodbyes = append(*runs, opening), append(goodbyes, closing)
			}
		}
		suffix := "_with_presence"
		if !presence {
			suffix, goodbye = "", median(goodbyes)
		}
		figures = append(figures, figure{metric: "tls_full" + suffix, unit: "B", value: median(full) + goodbye},
			figure{metric: "tls_resumed" + suffix, unit: "B", value: median(resumed) + goodbye})
	}
	return figures, nil
}

// visit runs the agent until it is connected and all is quiet, and stops it.
func (b *bench) visit(how setup) (opening, closing float64, err error) {
	before := b.settled()
	c, err := b.runAgent(how)
	if err != nil {
		return 0, 0, err
	}
	connected := b.settled()
	stop(c)
	return float64(connected - before), float64(b.settled() - connected), nil
}
