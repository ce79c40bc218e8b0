package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/internal/uplink"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// dialFunc opens a connection to host:port.
type dialFunc func(ctx context.Context, address string) (mqttconn.Conn, error)

// directChecks goes the way to each broker while no agent runs.
func directChecks(ctx context.Context, cfg *config.Config, r *report) error {
	session, err := uplink.SessionConfig(cfg)
	if err != nil {
		return err
	}
	brokers := uplink.Endpoints(cfg.Broker)
	if cfg.Link == config.LinkSystem {
		dialer := sysnet.Dialer{}
		brokersChecks(ctx, cfg, r, brokers, session, func(ctx context.Context, address string) (mqttconn.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return conn, nil
		})
		return nil
	}
	states := make(chan gsmnet.State, 64)
	m, release, err := uplink.OpenModem(cfg, false, func(s gsmnet.State) {
		select {
		case states <- s:
		default: // the last one counts, and there is a next one
		}
	})
	if err != nil {
		rest := []string{checkAT, checkSIM, checkRegistration, checkSignal, checkAttach, checkIP}
		if errors.Is(err, syscall.EBUSY) {
			r.ok(checkPort, "%s is there", cfg.Modem.Port)
			r.fail(checkLock, err)
		} else {
			r.fail(checkPort, err)
			rest = append([]string{checkLock}, rest...)
		}
		restartCheck(r, cfg)
		r.skip("needs the serial port", rest...)
		skipBrokers(r, "needs the serial port", brokers)
		return nil
	}
	defer release()
	r.ok(checkPort, "%s is there", cfg.Modem.Port)
	r.ok(checkLock, "nobody else has it")
	restartCheck(r, cfg)
	if !moduleChecks(ctx, r, m, states) {
		skipBrokers(r, "needs an address", brokers)
		return nil
	}
	brokersChecks(ctx, cfg, r, brokers, session, func(ctx context.Context, address string) (mqttconn.Conn, error) {
		conn, err := m.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return conn.(*gsmnet.Conn), nil
	})
	return nil
}

// moduleSteps are the driver's steps with their checks.
var moduleSteps = []struct {
	step gsmnet.Step
	name string
}{
	{gsmnet.StepSIM, checkSIM}, {gsmnet.StepRegistration, checkRegistration}, {gsmnet.StepAttach, checkAttach}, {gsmnet.StepContext, checkIP},
}

// moduleChecks goes from AT to an address, and tells each step as soon as it has passed.
func moduleChecks(ctx context.Context, r *report, m *gsmnet.Modem, states <-chan gsmnet.State) bool {
	r.waiting("asking the module for a sign of life")
	if err := m.Wake(ctx); err != nil {
		r.fail(checkAT, err)
		r.skip("needs a module that answers", checkSIM, checkRegistration, checkSignal, checkAttach, checkIP)
		return false
	}
	w := ascent{ctx: ctx, report: r, modem: m}
	up := make(chan error, 1)
	go func() { up <- m.Up(ctx) }() // ends with ctx at the latest
	for {
		select {
		case s := <-states:
			if s.Err == nil {
				w.passed(s.Step)
				r.waiting(s.Detail)
			}
		case err := <-up:
			w.over(m.State().Step, err)
			return err == nil
		}
	}
}

// ascent tells the steps of a bring-up as they pass.
type ascent struct {
	ctx    context.Context
	report *report
	modem  *gsmnet.Modem
	atTold bool
	told   int // of moduleSteps
}

// passed tells the steps before the one that is being worked on.
func (w *ascent) passed(now gsmnet.Step) {
	if now > gsmnet.StepPower {
		w.answers()
	}
	for w.told < len(moduleSteps) && moduleSteps[w.told].step < now {
		w.tell(checkOK, nil)
	}
}

// answers tells once that the module does.
func (w *ascent) answers() {
	if w.atTold {
		return
	}
	w.atTold = true
	text := "it answers"
	if info, err := w.modem.Info(w.ctx); err == nil && info.Model != "" {
		text = strings.TrimSpace(info.Model + " " + info.Revision)
	}
	w.report.ok(checkAT, "%s", text)
}

// tell adds the next step, and behind the registration the signal.
func (w *ascent) tell(state checkState, err error) {
	s := moduleSteps[w.told]
	w.told++
	switch state {
	case checkOK:
		w.report.ok(s.name, "%s", w.detail(s.step))
	case checkFailed:
		w.report.fail(s.name, err)
	default:
		w.report.skip("not yet tried", s.name)
	}
	if s.step != gsmnet.StepRegistration {
		return
	}
	if state == checkSkipped {
		w.report.skip("not yet tried", checkSignal)
		return
	}
	info, err := w.modem.Info(w.ctx)
	if err != nil {
		w.report.skip(uplink.Why(err), checkSignal)
		return
	}
	w.report.signal(info.SignalDBm)
}

// detail says in words what a step has come to.
func (w *ascent) detail(step gsmnet.Step) string {
	if step == gsmnet.StepAttach {
		return "attached"
	}
	info, err := w.modem.Info(w.ctx)
	if err != nil {
		return "passed"
	}
	return moduleDetail(step, info)
}

// over tells the rest when the bring-up has ended at a step.
func (w *ascent) over(at gsmnet.Step, err error) {
	if err == nil {
		at = gsmnet.StepReady
	}
	if at <= gsmnet.StepPower {
		w.report.fail(checkAT, err)
	} else {
		w.answers()
	}
	for w.told < len(moduleSteps) {
		switch step := moduleSteps[w.told].step; {
		case step < at:
			w.tell(checkOK, nil)
		case step == at:
			w.tell(checkFailed, err)
		default:
			w.tell(checkSkipped, nil)
		}
	}
}

func moduleDetail(step gsmnet.Step, i gsmnet.Info) string {
	switch step {
	case gsmnet.StepSIM:
		return "ready, " + shortICCID(i.ICCID)
	case gsmnet.StepRegistration:
		return strings.Trim(i.Registration+", "+i.Operator, ", ")
	case gsmnet.StepContext:
		return "address " + i.IP.String()
	}
	return "attached"
}

// brokerCheckNames are the checks of brokerChecks.
func brokerCheckNames(broker uplink.Endpoint) []string {
	if broker.TLS {
		return []string{checkDNS, checkTCP, checkTLS, checkMQTT, checkPuback}
	}
	return []string{checkDNS, checkTCP, checkMQTT, checkPuback}
}

// brokersChecks goes the rest of the way to each broker.
func brokersChecks(ctx context.Context, cfg *config.Config, r *report, brokers []uplink.Endpoint, session mqttconn.Config, dial dialFunc) {
	for _, b := range brokers {
		r.about(b, len(brokers) > 1)
		brokerChecks(ctx, cfg, r, b, session, dial)
	}
}

func skipBrokers(r *report, reason string, brokers []uplink.Endpoint) {
	for _, b := range brokers {
		r.about(b, len(brokers) > 1)
		r.skip(reason, brokerCheckNames(b)...)
	}
}

// brokerChecks opens a session of its own with a broker and publishes a test message.
func brokerChecks(ctx context.Context, cfg *config.Config, r *report, broker uplink.Endpoint, mc mqttconn.Config, dial dialFunc) {
	names := brokerCheckNames(broker)
	r.waiting("connecting to " + broker.Address)
	var reached atomic.Int32                                                     // how many of names have passed
	mc.ClientID, mc.Clean = "fieldpost-"+strings.ToLower(rand.Text()[:10]), true // 20 characters: any broker takes 23
	if !broker.TLS {
		mc.TLS = nil
	} else {
		mc.TLS = mc.TLS.Clone()
		mc.TLS.ServerName = broker.Host
		mc.TLS.VerifyConnection = func(tls.ConnectionState) error { // called when the certificate was found good
			reached.Store(3)
			return nil
		}
	}
	session, err := mqttconn.Connect(ctx, func(ctx context.Context) (mqttconn.Conn, error) {
		conn, err := dial(ctx, broker.Address)
		switch {
		case err == nil:
			reached.Store(2)
		case !isDNS(err):
			reached.Store(1)
		}
		return conn, err
	}, mc)
	if err != nil {
		n := int(reached.Load())
		if n == 3 && isTLS(err) { // the broker didn't like ours
			n = 2
		}
		passed(r, names[:n], broker)
		if names[n] == checkDNS {
			err = fmt.Errorf("%s: %s", broker.Host, uplink.Why(err))
		}
		r.fail(names[n], err)
		r.skip("not yet tried", names[n+1:]...)
		return
	}
	passed(r, names[:len(names)-1], broker)
	r.waiting("waiting for the proof of a test message")
	if err := testMessage(ctx, cfg, session); err != nil {
		r.fail(checkPuback, err)
	} else {
		r.ok(checkPuback, "the broker has taken a message on %s", doctorTopic(cfg))
	}
	_ = session.Close(ctx) // what it could tell is told
}

func passed(r *report, names []string, b uplink.Endpoint) {
	for _, name := range names {
		_, err := netip.ParseAddr(b.Host)
		switch {
		case name == checkDNS && err == nil:
			r.skip("not needed: "+b.Host+" is an address", name)
		case name == checkDNS:
			r.ok(name, "%s has an address", b.Host)
		case name == checkTCP:
			r.ok(name, "connected to %s", b.Address)
		case name == checkTLS:
			r.ok(name, "the certificate is %s's", b.Host)
		default:
			r.ok(name, "the broker takes the account")
		}
	}
}

func isDNS(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) || gsmnet.CauseOf(err) == gsmnet.CauseDNS
}

func isTLS(err error) bool {
	c := mqttconn.CauseOf(err)
	return c == mqttconn.CauseTLS || c == mqttconn.CauseCertificate
}

func doctorTopic(cfg *config.Config) string { return cfg.Device + "/fieldpost/doctor" }

// testMessage publishes once and waits for the proof.
func testMessage(ctx context.Context, cfg *config.Config, session *mqttconn.Session) error {
	receipt, err := session.Publish(ctx, mqttconn.Message{Seq: 1, Topic: doctorTopic(cfg), QoS: 1,
		Payload: []byte("fieldpost doctor " + time.Now().UTC().Format(time.RFC3339))})
	if err != nil {
		return err
	}
	select {
	case <-receipt.Done():
		return receipt.Err()
	case <-ctx.Done():
		return fmt.Errorf("no PUBACK: %w", ctx.Err())
	}
}
