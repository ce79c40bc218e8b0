package uplink

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// modemLink is the way to the broker through the module. The module stays up between two sessions; a lost port is opened
// again by name.
type modemLink struct {
	*mqttLink
	port        string // as it is configured
	open        func() (io.ReadWriteCloser, error)
	modemConfig gsmnet.Config
	addresses   *addresses
	restart     func(port io.ReadWriteCloser) func(context.Context) error // from outside; nil: there is no way

	mu     sync.Mutex // guards what follows; held for copies only
	modem  *gsmnet.Modem
	report agent.Report // of the attempt or session that runs
	info   *agent.ModemStatus
	time   networkTime
	imei   string // of the module that answered first
	other  string // why it is not the same any more; "": it is
}

func (l *modemLink) Steps() []agent.Step {
	return append([]agent.Step{agent.StepPort, agent.StepPower, agent.StepSIM, agent.StepRegistration, agent.StepAttach,
		agent.StepIP}, l.steps()...)
}

func (l *modemLink) Connect(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error) {
	l.mu.Lock()
	l.report = report
	l.mu.Unlock()
	modem, err := l.opened(report)
	if err != nil {
		l.pulse.attempted(err)
		return nil, linkError(err)
	}
	if err := modem.Up(ctx); err != nil {
		l.pulse.attempted(err)
		return nil, linkError(err)
	}
	l.learn(ctx, modem)
	l.askTime(ctx, modem)
	var conn *gsmnet.Conn
	session, err := l.connect(ctx, l.network(), resume, report, func(ctx context.Context, address string) (_ mqttconn.Conn, err error) {
		if conn, err = l.addresses.dial(ctx, modem, address); err != nil {
			return nil, err
		}
		return conn, nil
	})
	if err == nil {
		l.addresses.worked(conn)
	}
	return session, err
}

// opened returns the module, opening the port anew when it was lost.
func (l *modemLink) opened(report agent.Report) (*gsmnet.Modem, error) {
	l.mu.Lock()
	modem := l.modem
	l.mu.Unlock()
	if modem != nil {
		select {
		case <-modem.Done():
			_ = modem.Close()
		default:
			return modem, nil
		}
	}
	report(agent.StepPort, agent.StepWaiting, "opening the serial port")
	port, err := l.open()
	if err != nil {
		return nil, &agent.LinkError{Cause: agent.CausePort, Err: err, Why: Why(err)}
	}
	cfg := l.modemConfig
	cfg.OnState = l.onState
	if l.restart != nil {
		cfg.Restart = l.restart(port)
	}
	modem, err = gsmnet.Open(port, cfg)
	if err != nil {
		_ = port.Close()
		return nil, err
	}
	l.mu.Lock()
	l.modem = modem
	l.mu.Unlock()
	return modem, nil
}

// onState passes on what the module tells, also while a session stands.
func (l *modemLink) onState(s gsmnet.State) {
	l.mu.Lock()
	report := l.report
	l.mu.Unlock()
	step, ok := modemSteps[s.Step]
	switch {
	case report == nil || !ok:
	case s.Step == gsmnet.StepReady:
		report(step, agent.StepOK, s.Detail)
	case s.Err != nil:
		l.pulse.troubled()
		report(step, agent.StepFailed, s.Err.Error())
	default:
		l.pulse.troubled()
		report(step, agent.StepWaiting, s.Detail)
	}
}

// network names what stands between the module and the broker: the operator's gateway for this APN.
func (l *modemLink) network() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	operator := "unknown"
	if l.info != nil && l.info.Operator != "" {
		operator = l.info.Operator
	}
	return operator + "/" + l.modemConfig.APN
}

// modemSteps translates the module's steps into the agent's.
var modemSteps = map[gsmnet.Step]agent.Step{
	gsmnet.StepPort:         agent.StepPort,
	gsmnet.StepPower:        agent.StepPower,
	gsmnet.StepSIM:          agent.StepSIM,
	gsmnet.StepRegistration: agent.StepRegistration,
	gsmnet.StepAttach:       agent.StepAttach,
	gsmnet.StepContext:      agent.StepIP,
	gsmnet.StepReady:        agent.StepIP,
}

// learn asks the module who and where it is. What can't be had is left empty: the link doesn't depend on it.
func (l *modemLink) learn(ctx context.Context, modem *gsmnet.Modem) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := modem.Info(ctx)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.info = &agent.ModemStatus{Model: info.Model, Operator: info.Operator, SignalDBm: info.SignalDBm, Registration: info.Registration}
	if info.IP.IsValid() {
		l.info.IP = info.IP.String()
	}
	if !info.Time.IsZero() {
		l.time.set(info.Time, "network")
	}
	l.sameModule(info.IMEI)
}

func (l *modemLink) Status() *agent.ModemStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.modem == nil {
		return nil
	}
	alarm := l.modem.State().Alarm
	if l.info == nil && alarm == "" && l.other == "" {
		return nil
	}
	var m agent.ModemStatus
	if l.info != nil {
		m = *l.info
	}
	m.Alarm = strings.Trim(alarm+"; "+l.other, "; ")
	return &m
}

// sameModule compares the module that answers with the one that did at first: a port that was plugged out can come back with another one
// behind it. It is called with mu held.
func (l *modemLink) sameModule(imei string) {
	switch {
	case imei == "":
	case l.imei == "":
		l.imei = imei
	case l.imei == imei:
		l.other = ""
	default:
		l.other = fmt.Sprintf("another module answers at this port than at first: its IMEI ends in %s, not in %s",
			imei[max(0, len(imei)-4):], l.imei[max(0, len(l.imei)-4):])
	}
}

func (l *modemLink) Close(ctx context.Context) error {
	l.mu.Lock()
	modem := l.modem
	l.mu.Unlock()
	if modem == nil {
		return nil
	}
	return modem.Shutdown(ctx)
}
