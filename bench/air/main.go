package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
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

const (
	single   = 8   // readings one at a time
	draining = 400 // readings at once
	apart    = 2500 * time.Millisecond
)

func run() error {
	agent := flag.String("agent", "", "the agent's binary")
	only := flag.String("only", "", "messages or handshakes; empty: both")
	flag.Parse()
	dir, err := os.MkdirTemp("", "air")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := makeCertificates(dir); err != nil {
		return err
	}
	w, err := newWire()
	if err != nil {
		return err
	}
	b := &bench{wire: w, dir: dir, agent: *agent}
	defer b.close()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the program: the namespaces must not outlive it
		<-stopped
		b.wire.close()
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	if err := b.cloud(); err != nil {
		return err
	}
	for _, secure := range []bool{false, true} {
		if *only == "handshakes" {
			break
		}
		if err := b.messages(secure); err != nil {
			return err
		}
	}
	if *only == "messages" {
		return nil
	}
	return b.handshakes()
}

// messages compares the three for single readings and for a backlog.
func (b *bench) messages(secure bool) error {
	suffix := ""
	if secure {
		suffix = "_tls"
	}
	one, many := map[string]float64{}, map[string]float64{}
	for _, peer := range []struct {
		name  string
		begin func(bool) (sender, error)
	}{{"fieldpost", b.fieldpost}, {"mosquitto", b.bridge}, {"paho", b.paho}} {
		s, err := peer.begin(secure)
		if err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		if one[peer.name], err = b.send(s, single, apart); err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		if many[peer.name], err = b.send(s, draining, 0); err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		s.stop()
		b.settled()
		print(peer.name, "single"+suffix, one[peer.name], "B/msg")
		print(peer.name, "draining"+suffix, many[peer.name], "B/msg")
	}
	for _, peer := range []string{"mosquitto", "paho"} {
		print("fieldpost", "single"+suffix+"_vs_"+peer, one["fieldpost"]/one[peer], "")
		print("fieldpost", "draining"+suffix+"_vs_"+peer, many["fieldpost"]/many[peer], "")
	}
	return nil
}

// handshakes counts the agent's connections under TLS 1.3 with a P-256 certificate: TCP, TLS, MQTT and the closing.
func (b *bench) handshakes() error {
	file, err := b.agentConfig(true)
	if err != nil {
		return err
	}
	// The first connection of a queue is two, for the broker has to forget what an older queue may have left there. And what
	// was kept to resume with must not be there.
	first, err := b.runAgent(file)
	if err != nil {
		return err
	}
	b.settled()
	stop(first)
	if err := b.forgetTickets(); err != nil {
		return err
	}
	before := b.settled()
	c, err := b.runAgent(file)
	if err != nil {
		return err
	}
	const closing = 4*40 + 24 // FIN and ACK each way, close_notify; the DISCONNECT goes along
	full := float64(b.settled()-before) + closing
	before = b.settled()
	if err := b.command("reconnect", "--config", file); err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	resumed := float64(b.settled() - before)
	stop(c)
	print("fieldpost", "tls_full", full, "B")
	print("fieldpost", "tls_resumed", resumed, "B")
	print("fieldpost", "tls_resumed_vs_full", resumed/full, "")
	return nil
}

// forgetTickets removes the sessions that the agent has kept over its restarts.
func (b *bench) forgetTickets() error {
	return exec.Command("rm", "-f", b.file("tls")+"/tls-sessions").Run()
}

// print writes a figure in the form of scripts/bench.
func print(name, metric string, value float64, unit string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"case": name, "metric": metric, "value": value, "unit": unit})
}
