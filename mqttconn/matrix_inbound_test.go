package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

const commands = 3

// downlinks is the sending half of a broker, and the operator behind it: a command whose answer has not come up is sent again,
// by the broker as far as its session lives, else by the operator.
type downlinks struct {
	qos      byte
	executed func(id uint16) bool

	mu     sync.Mutex
	asked  bool            // for the subscription, in the session that lives
	stage  map[uint16]byte // what the broker's session knows of a message: it was sent, or received with PUBREC
	done   map[uint16]bool // acknowledged to the end in this session
	faults []string
}

// The stages of a message.
const (
	isSent     = 1
	isReceived = 2
)

func (d *downlinks) fault(format string, args ...any) {
	d.faults = append(d.faults, fmt.Sprintf(format, args...))
}

func (d *downlinks) forget() {
	d.asked, d.stage, d.done = false, make(map[uint16]byte), make(map[uint16]bool)
}

// answer is what the broker sends back; it answers for readings as always.
func (d *downlinks) answer(b *fakeBroker, p packet) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p := p.(type) {
	case *packets.ConnectPacket:
		present := b.session != nil
		if !present {
			b.session = make(map[uint16]string)
			d.forget()
		}
		out := connackBytes(present, 0)
		if d.asked {
			out = append(out, d.send(b)...)
		}
		return out
	case *packets.SubscribePacket:
		out := []byte{packets.Suback << 4, 3, byte(p.MessageID >> 8), byte(p.MessageID), p.Qoss[0]}
		if !d.asked { // else all has been sent behind CONNACK
			d.asked = true
			out = append(out, d.send(b)...)
		}
		return out
	case *packets.PubackPacket:
		d.acknowledged(p.MessageID, 1)
		return []byte{}
	case *packets.PubrecPacket:
		d.acknowledged(p.MessageID, 2)
		d.stage[p.MessageID] = isReceived
		return []byte{packets.Pubrel<<4 | 2, 2, byte(p.MessageID >> 8), byte(p.MessageID)}
	case *packets.PubcompPacket:
		if d.stage[p.MessageID] != isReceived {
			d.fault("PUBCOMP %d without PUBREC", p.MessageID)
		}
		d.done[p.MessageID] = true
		return []byte{}
	}
	return nil
}

// acknowledged checks that a command was carried out before the broker may forget it.
func (d *downlinks) acknowledged(id uint16, qos byte) {
	if d.qos != qos {
		d.fault("message %d of QoS %d was acknowledged as one of QoS %d", id, d.qos, qos)
	}
	if !d.executed(id) {
		d.fault("message %d was acknowledged before it was carried out", id)
	}
	if d.done[id] {
		d.fault("message %d was acknowledged twice", id)
	}
	d.done[id] = qos == 1
}

// send is all that has to come (again).
func (d *downlinks) send(b *fakeBroker) (out []byte) {
	for id := uint16(1); id <= commands; id++ {
		switch answered := slices.Contains(b.delivered, fmt.Sprint("answer ", id)); {
		case d.stage[id] == isReceived && !d.done[id]:
			out = append(out, packets.Pubrel<<4|2, 2, 0, byte(id))
		case d.done[id], answered && d.stage[id] == 0, d.qos == 0 && answered:
			continue
		default:
			first := byte(packets.Publish<<4) | d.qos<<1
			if d.stage[id] == isSent && d.qos > 0 {
				first |= 1 << 3 // DUP
			}
			d.stage[id] = isSent
			if d.qos == 0 {
				out = append(out, first, 4, 0, 1, 'c', byte('0'+id))
			} else {
				out = append(out, first, 6, 0, 1, 'c', 0, byte(id), byte('0'+id))
			}
		}
	}
	return out
}

// executor is the device: what it has carried out, and the answers that are still to go up, outlive the process.
type executor struct {
	mu       sync.Mutex
	dead     bool
	runs     map[string]int // by command
	answered map[string]bool
}

var errDead = errors.New("the process is dead")

// handle carries a command out once, whatever its broker does.
func (x *executor) handle(_ context.Context, m mqttconn.Delivery) error {
	time.Sleep(20 * time.Millisecond) // fsync
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dead {
		return errDead
	}
	if id := string(m.Payload); x.runs[id] == 0 {
		x.runs[id]++
	}
	return nil
}

// report sends up the answers that are due, until the session ends or none comes any more.
func (x *executor) report(t *testing.T, s *mqttconn.Session) {
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		x.mu.Lock()
		var due []string
		for id := range x.runs {
			if !x.answered[id] {
				due = append(due, id)
			}
		}
		x.mu.Unlock()
		slices.Sort(due)
		for _, id := range due {
			r, err := s.Publish(t.Context(), mqttconn.Message{Seq: uint64(id[0]), Topic: "pump-07/answer", QoS: 1, Payload: []byte("answer " + id)})
			if err != nil || r.Err() != nil {
				return
			}
			x.mu.Lock()
			x.answered[id] = !x.dead
			x.mu.Unlock()
		}
	}
}

type inboundCase struct {
	qos           byte
	keeps, killed bool
}

func (c inboundCase) String() string {
	return matrixCase{qos: c.qos, keeps: c.keeps, killed: c.killed}.String()
}

// TestInboundCutAtEveryMoment cuts the connection once, before, after and having answered each packet of commands that come down and
// their answers that go up, at each QoS, with a broker that keeps its session and one that loses it, with a process that lives on
// and one that is killed. Each command is carried out once by its id and answered, and nothing is acknowledged that was not carried out.
func TestInboundCutAtEveryMoment(t *testing.T) {
	cases := 0
	for qos := range byte(3) {
		for _, keeps := range []bool{true, false} {
			for _, killed := range []bool{false, true} {
				c := inboundCase{qos, keeps, killed}
				for _, m := range c.run(t, "") {
					if strings.Contains(m, "DISCONNECT") {
						continue
					}
					cases++
					t.Run(fmt.Sprintf("%v/%s", c, m), func(t *testing.T) { c.run(t, m) })
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

func (c inboundCase) run(t *testing.T, cutAt string) (moments []string) {
	synctest.Test(t, func(t *testing.T) {
		x := &executor{runs: make(map[string]int), answered: make(map[string]bool)}
		d := &downlinks{qos: c.qos}
		d.forget()
		d.executed = func(id uint16) bool {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.runs[fmt.Sprint(id)] > 0
		}
		b := &fakeBroker{cutAt: cutAt, forgets: !c.keeps}
		b.answer = func(p packet) []byte { return d.answer(b, p) }
		if c.killed {
			b.onCut = func() { x.mu.Lock(); x.dead = true; x.mu.Unlock() }
		}
		want := []mqttconn.Subscription{{Filter: "c", QoS: 1}}
		var kept []mqttconn.Subscription
		var mu sync.Mutex
		for range 4 {
			mu.Lock()
			cfg := mqttconn.Config{ClientID: "pump-07", Handler: x.handle, Subscriptions: want, Kept: kept}
			mu.Unlock()
			cfg.Subscribed = func(held []mqttconn.Subscription, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					kept = held
				}
			}
			if s, err := mqttconn.Connect(t.Context(), b.dial, cfg); err == nil {
				x.report(t, s)
				time.Sleep(2 * time.Second) // the cut may still come
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			x.mu.Lock()
			x.dead = false
			x.mu.Unlock()
		}
		b.group.Wait()
		c.verify(t, x, d, b)
		moments = b.moments
		if cutAt != "" && !b.hasCut {
			t.Error("nothing was cut")
		}
	})
	return moments
}

func (c inboundCase) verify(t *testing.T, x *executor, d *downlinks, b *fakeBroker) {
	t.Helper()
	for id := uint16(1); id <= commands; id++ {
		if n := x.runs[fmt.Sprint(id)]; n != 1 {
			t.Errorf("command %d was carried out %d times", id, n)
		}
		if !slices.Contains(b.delivered, fmt.Sprint("answer ", id)) {
			t.Errorf("the answer to command %d has not come up", id)
		}
		if c.qos > 0 && c.keeps && !d.done[id] {
			t.Errorf("command %d was never acknowledged to the end", id)
		}
	}
	for _, f := range d.faults {
		t.Error(f)
	}
}
