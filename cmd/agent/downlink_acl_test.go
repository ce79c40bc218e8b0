package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A broker that lets the device do nothing but publish readings gets them.
func TestBrokerAllowsReadingsOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acl := writeFile(t, filepath.Join(t.TempDir(), "acl"), "topic read site/#\n\nuser pump-07\ntopic write site/#\ntopic deny pump-07/cmd/#\n\nuser cloud\ntopic readwrite #\n")
	broker := startMosquitto(t, "allow_anonymous true\nmax_queued_messages 1000\nacl_file "+acl)
	secret := writeFile(t, filepath.Join(dir, "password"), "any")
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(downlinkConfig, filepath.Join(dir, "data"), broker.addr, secret, freePort(t)))
	o := newOperator(t, broker.addr, "cloud")
	cloud := subscribe(t, broker.addr, "site/#")

	agent := fieldpost(t, "agent", "run", "--config", conf)
	agent.waitFor(`"connected"`, time.Minute)
	sendOne(t, conf, "1")
	eventually(t, "a reading arrives", 20*time.Second, func() bool { return cloud.different() == 1 })
	out, _, _ := call(t, "status", "--json", "--config", conf)
	if sessions := decode(t, out)["link"].(map[string]any)["sessions"]; sessions != float64(1) {
		t.Errorf("got %v sessions, want one that has stood: %s", sessions, out)
	}
	agent.kill()
	o.send("status", `{"id":"1"}`, false)
	agent = fieldpost(t, "agent after the kill", "run", "--config", conf)
	agent.waitFor(`"connected"`, time.Minute)
	sendOne(t, conf, "2")
	eventually(t, "another reading arrives", 20*time.Second, func() bool { return cloud.different() == 2 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.states)+len(o.answers) > 0 {
		t.Errorf("the broker let through %v and %v", o.states, o.answers)
	}
}

func sendOne(t *testing.T, conf, payload string) {
	t.Helper()
	if _, errOut, code := call(t, "send", "--config", conf, "site/x", payload); code != 0 {
		t.Fatalf("send: %s", errOut)
	}
}

// harsh is a broker that ends the connection over whatever it doesn't allow, instead of saying so.
type harsh struct {
	t     *testing.T
	ln    net.Listener
	work  sync.WaitGroup
	will  bool // refuse a will with CONNACK 5
	topic string
	subs  bool   // and over a SUBSCRIBE
	pass  string // refuse any other password, if it isn't empty
	deny  bool   // answer it with 0x80

	mu  sync.Mutex
	got []string // topics of readings
}

func startHarsh(t *testing.T, h *harsh) *harsh {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.t, h.ln = t, ln
	h.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			h.work.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); h.work.Wait() })
	return h
}

func (h *harsh) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		var answer bytes.Buffer
		switch p := p.(type) {
		case *packets.ConnectPacket:
			ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
			if h.will && p.WillFlag || h.pass != "" && string(p.Password) != h.pass {
				ack.ReturnCode = 5
			}
			_ = ack.Write(&answer)
		case *packets.PublishPacket:
			if p.TopicName == h.topic {
				return
			}
			h.mu.Lock()
			h.got = append(h.got, p.TopicName)
			h.mu.Unlock()
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			_ = ack.Write(&answer)
		case *packets.SubscribePacket:
			if h.subs {
				return
			}
			ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			ack.MessageID, ack.ReturnCodes = p.MessageID, p.Qoss
			if h.deny {
				ack.ReturnCodes[0] = 0x80
			}
			_ = ack.Write(&answer)
		case *packets.PingreqPacket:
			_ = packets.NewControlPacket(packets.Pingresp).Write(&answer)
		case *packets.DisconnectPacket:
			return
		}
		if _, err := io.Copy(c, &answer); err != nil {
			return
		}
	}
}

func (h *harsh) has(topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(strings.Join(h.got, " "), topic)
}

// What a broker may punish by ending the connection must not keep readings from arriving: it is given up after some attempts.
func TestBrokerThatPunishes(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*harsh{
		"the will":         {will: true},
		"the status topic": {topic: "pump-07/status"},
		"the subscription": {subs: true},
		"nothing":          {deny: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h = startHarsh(t, h)
			secret := writeFile(t, filepath.Join(dir, "password"), "any")
			conf := writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(downlinkConfig, filepath.Join(dir, "data"), h.ln.Addr(), secret, freePort(t)))
			agent := fieldpost(t, "agent", "run", "--config", conf)
			agent.waitFor(`"message":"started"`, 10*time.Second)
			sendOne(t, conf, "1")
			// Each wait between two attempts grows, and nobody has minutes here. An attempt that goes on isn't disturbed.
			status := func() (out string, link map[string]any) {
				out, _, _ = call(t, "status", "--json", "--config", conf)
				link = decode(t, out)["link"].(map[string]any)
				if link["retry_at"] != nil {
					if _, _, code := call(t, "reconnect", "--config", conf); code != 0 {
						t.Fatal("the agent doesn't answer")
					}
				}
				return out, link
			}
			eventually(t, "the reading arrives", time.Minute, func() bool {
				_, _ = status()
				return h.has("site/x")
			})
			eventually(t, "a session that stands", 30*time.Second, func() bool {
				out, link := status()
				refused := strings.Contains(out, "the broker refused the filter")
				punished := strings.Contains(out, "no commands for a day")
				presence := strings.Contains(out, "left out for a day")
				return link["connected"] == true && refused == h.deny && punished == h.subs && presence == (h.topic != "")
			})
			out, _, _ := call(t, "status", "--config", conf)
			if said := strings.Contains(out, "presence         left out for a day: the broker ends the connection over it"); said != (h.topic != "") {
				t.Errorf("status says that presence is left out: %v:\n%s", said, out)
			}
		})
	}
}
