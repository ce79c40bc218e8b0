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
	"github.com/fieldpost/fieldpost/mqttconn"
)

// directChecks goes the way to the first broker while no agent runs.
func directChecks(ctx context.Context, cfg *config.Config, r *report) error {
	mqtt, err := mqttOver(cfg, nil)
	if err != nil {
		return err
	}
	if cfg.Link == config.LinkSystem {
		dialer := sysnet.Dialer{}
		brokerChecks(ctx, cfg, r, mqtt, func(ctx context.Context, address string) (mqttconn.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return conn, nil
		})
		return nil
	}
	m, release, err := openModem(cfg, false)
	if err != nil {
		rest := []string{checkAT, checkSIM, checkRegistration, checkSignal, checkAttach, checkIP}
		if errors.Is(err, syscall.EBUSY) {
			r.ok(checkPort, "%s is there", cfg.Modem.Port)
			r.fail(checkLock, err)
		} else {
			r.fail(checkPort, err)
			rest = append([]string{checkLock}, rest...)
		}
		r.skip("needs the serial port", append(rest, brokerCheckNames(mqtt)...)...)
		return nil
	}
	defer release()
	r.ok(checkPort, "%s is there", cfg.Modem.Port)
	r.ok(checkLock, "nobody else has it")
	if !moduleChecks(ctx, r, m) {
		r.skip("needs an address", brokerCheckNames(mqtt)...)
		return nil
	}
	brokerChecks(ctx, cfg, r, mqtt, func(ctx context.Context, address string) (mqttconn.Conn, error) {
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

// moduleChecks goes from AT to an address.
func moduleChecks(ctx context.Context, r *report, m *gsmnet.Modem) bool {
	if err := m.Wake(ctx); err != nil {
		r.fail(checkAT, err)
		r.skip("needs a module that answers", checkSIM, checkRegistration, checkSignal, checkAttach, checkIP)
		return false
	}
	err := m.Up(ctx)
	failed := m.State().Step
	info, infoErr := m.Info(ctx)
	if err != nil && failed <= gsmnet.StepPower {
		r.fail(checkAT, err)
	} else {
		r.ok(checkAT, "%s", strings.TrimSpace(info.Model+" "+info.Revision))
	}
	for _, s := range moduleSteps {
		switch {
		case err == nil || s.step < failed:
			r.ok(s.name, "%s", moduleDetail(s.step, info))
		case s.step == failed:
			r.fail(s.name, err)
		default:
			r.skip("not yet tried", s.name)
		}
		if s.step == gsmnet.StepRegistration {
			if infoErr != nil {
				r.skip(why(infoErr), checkSignal)
			} else {
				r.signal(info.SignalDBm)
			}
		}
	}
	return err == nil
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
func brokerCheckNames(l mqttLink) []string {
	if l.brokers.list[0].tls {
		return []string{checkDNS, checkTCP, checkTLS, checkMQTT, checkPuback}
	}
	return []string{checkDNS, checkTCP, checkMQTT, checkPuback}
}

// brokerChecks opens a session of its own with the first broker and publishes a test message.
func brokerChecks(ctx context.Context, cfg *config.Config, r *report, l mqttLink, dial func(context.Context, string) (mqttconn.Conn, error)) {
	broker, mc := l.brokers.list[0], l.config
	names := brokerCheckNames(l)
	var reached atomic.Int32                                                     // how many of names have passed
	mc.ClientID, mc.Clean = "fieldpost-"+strings.ToLower(rand.Text()[:10]), true // 20 characters: any broker takes 23
	if !broker.tls {
		mc.TLS = nil
	} else {
		mc.TLS = mc.TLS.Clone()
		mc.TLS.ServerName = broker.host
		mc.TLS.VerifyConnection = func(tls.ConnectionState) error { // called when the certificate was found good
			reached.Store(3)
			return nil
		}
	}
	session, err := mqttconn.Connect(ctx, func(ctx context.Context) (mqttconn.Conn, error) {
		conn, err := dial(ctx, broker.address)
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
			err = fmt.Errorf("%s: %s", broker.host, why(err))
		}
		r.fail(names[n], err)
		r.skip("not yet tried", names[n+1:]...)
		return
	}
	passed(r, names[:len(names)-1], broker)
	if err := testMessage(ctx, cfg, session); err != nil {
		r.fail(checkPuback, err)
	} else {
		r.ok(checkPuback, "the broker has taken a message on %s", doctorTopic(cfg))
	}
	_ = session.Close(ctx) // what it could tell is told
}

func passed(r *report, names []string, b endpoint) {
	for _, name := range names {
		_, err := netip.ParseAddr(b.host)
		switch {
		case name == checkDNS && err == nil:
			r.skip("not needed: "+b.host+" is an address", name)
		case name == checkDNS:
			r.ok(name, "%s has an address", b.host)
		case name == checkTCP:
			r.ok(name, "connected to %s", b.address)
		case name == checkTLS:
			r.ok(name, "the certificate is %s's", b.host)
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
