package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "publish" {
		err = publish(os.Args[2:])
	} else {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "air:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	binary   string // the agent
	readings string // the sample readings
	only     []string
	repeat   int
	packets  bool
}

func run() error {
	var o options
	flag.StringVar(&o.binary, "agent", "", "the agent's binary")
	flag.StringVar(&o.readings, "readings", "agent/envelope/testdata/readings.jsonl", "sample readings, JSON lines with topic and payload_text")
	only := flag.String("only", "", "of single,draining,ten,batch,break,handshake,ping; empty: all")
	flag.IntVar(&o.repeat, "count", 3, "how often all but single, break and ping is measured; the median is printed")
	flag.BoolVar(&o.packets, "packets", false, "write a line for each packet to stderr")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	dir, err := os.MkdirTemp("", "air")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := makeCertificates(dir); err != nil {
		return err
	}
	var all results
	var running sync.WaitGroup
	var benches []*bench
	for _, plan := range plans(o) {
		b, err := newBench(len(benches), dir, o)
		if err == nil {
			benches = append(benches, b)
			err = b.cloud()
		}
		if err != nil {
			closeAll(benches)
			return err
		}
		running.Go(func() { all.add(plan.carryOut(b)) })
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the program: the namespaces must not outlive it
		<-stopped
		closeAll(benches)
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	running.Wait()
	closeAll(benches)
	return all.print()
}

func closeAll(benches []*bench) {
	for _, b := range benches {
		b.close()
	}
}

// figure is one measured value of a peer.
type figure struct {
	peer, metric, unit string
	value              float64
}

// results gathers what the plans, which run at the same time, have measured.
type results struct {
	mu      sync.Mutex
	figures []figure // guarded by mu
	err     error    // guarded by mu; the first
}

func (r *results) add(figures []figure, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures = append(r.figures, figures...)
	if r.err == nil {
		r.err = err
	}
}

// print writes all in the form of scripts/bench, with the agent's figures by those of the others.
func (r *results) print() error {
	if r.err != nil {
		return r.err
	}
	slices.SortStableFunc(r.figures, func(a, b figure) int {
		return slices.Index(peers, a.peer) - slices.Index(peers, b.peer)
	})
	out := json.NewEncoder(os.Stdout)
	for _, f := range append(r.figures, r.ratios()...) {
		if err := out.Encode(map[string]any{"case": f.peer, "metric": f.metric, "value": f.value, "unit": f.unit}); err != nil {
			return err
		}
	}
	return nil
}

// beside says by which figure of the others one of the agent's is divided: the same messages, as they send them.
var beside = map[string]string{"ten": "draining", "ten_tls": "draining_tls", "ten_deflate": "draining", "ten_deflate_tls": "draining_tls"}

func (r *results) ratios() (ratios []figure) {
	for _, own := range r.figures {
		if own.peer != agent {
			continue
		}
		theirs := own.metric
		if m := beside[own.metric]; m != "" {
			theirs = m
		}
		for _, f := range r.figures {
			if f.peer != agent && f.metric == theirs {
				ratios = append(ratios, figure{agent, own.metric + "_vs_" + f.peer, "", own.value / f.value})
			}
		}
	}
	full, resumed := r.of("tls_full"), r.of("tls_resumed")
	if full > 0 && resumed > 0 {
		ratios = append(ratios, figure{agent, "tls_resumed_vs_full", "", resumed / full})
	}
	return ratios
}

// of is a figure of the agent's, 0 if there is none.
func (r *results) of(metric string) float64 {
	i := slices.IndexFunc(r.figures, func(f figure) bool { return f.peer == agent && f.metric == metric })
	if i < 0 {
		return 0
	}
	return r.figures[i].value
}

// forgetTickets removes the sessions that the agent has kept over its restarts.
func (b *bench) forgetTickets() error {
	return exec.Command("rm", "-f", b.data()+"/tls-sessions").Run()
}
