package main

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// The peers, by their names in the output.
const (
	agent     = "fieldpost"
	mosquitto = "mosquitto" // its bridge
	paho      = "paho"      // used plainly
)

var peers = []string{agent, mosquitto, paho}

// plan is what is measured of one peer over one wire, one after the other.
type plan struct {
	peer   string
	secure bool
	steps  []step
}

type step struct {
	name    string
	measure func(*bench, setup) ([]figure, error)
}

// setup is how a peer is run.
type setup struct {
	peer      string
	secure    bool
	format    string // of the agent's readings: the section encoding; "": plain
	presence  bool
	keepalive time.Duration // 0: ten minutes
}

// plans divides the work: peers, plain and TLS, have wires of their own and run at the same time, and so do pings.
func plans(o options) (list []plan) {
	wanted := func(s step) bool { return len(o.only) == 0 || slices.Contains(o.only, s.name) }
	for _, secure := range []bool{false, true} {
		for _, peer := range peers {
			steps := []step{{"single", measureSingle}, {"draining", measureDraining}}
			if peer == agent {
				steps = append(steps, step{"ten", measureTen})
			}
			if !secure {
				steps = append(steps, step{"batch", measureBatch}, step{"break", measureBreak})
			} else if peer == agent {
				steps = append(steps, step{"handshake", measureHandshakes})
			}
			for _, part := range [][]step{steps, {{"ping", measurePing}}} {
				p := plan{peer, secure, slices.DeleteFunc(part, func(s step) bool { return !wanted(s) })}
				if len(p.steps) > 0 {
					list = append(list, p)
				}
			}
		}
	}
	return list
}

// carryOut measures, and tells on stderr how far it is.
func (p plan) carryOut(b *bench) (figures []figure, err error) {
	for _, s := range p.steps {
		got, err := s.measure(b, setup{peer: p.peer, secure: p.secure})
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", p.peer, s.name, err)
		}
		for _, f := range got {
			f.peer = p.peer
			if p.secure && s.name != "handshake" {
				f.metric += "_tls"
			}
			fmt.Fprintf(os.Stderr, "%s %s %.4g %s\n", f.peer, f.metric, f.value, f.unit)
			figures = append(figures, f)
		}
	}
	return figures, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
