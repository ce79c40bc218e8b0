package main

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// module shows a gsmnet.Modem to the commands, in the running agent and without one.
type module struct {
	port    string
	current func() (*gsmnet.Modem, error)
}

var _ control.Modem = module{}

func (m module) Info(ctx context.Context) (control.ModemInfo, error) {
	modem, err := m.current()
	if err != nil {
		return control.ModemInfo{}, err
	}
	i, err := modem.Info(ctx)
	if err != nil {
		return control.ModemInfo{}, commandError(err)
	}
	info := control.ModemInfo{
		Schema: control.ModemInfoSchema, Port: m.port, Model: known(i.Model), Revision: known(i.Revision), IMEI: known(i.IMEI),
		ICCID: known(i.ICCID), Operator: known(i.Operator), SignalDBm: i.SignalDBm, Registration: known(i.Registration),
	}
	info.LAC, info.Cell, info.Alarm = known(i.LAC), known(i.Cell), known(modem.State().Alarm)
	if i.IP.IsValid() {
		info.IP = known(i.IP.String())
	}
	if !i.Time.IsZero() {
		info.NetworkTime = known(i.Time.Format(time.RFC3339))
	}
	return info, nil
}

func (m module) Command(ctx context.Context, line string, force bool) ([]string, error) {
	modem, err := m.current()
	if err != nil {
		return nil, err
	}
	send := modem.Command
	if force {
		send = modem.ForceCommand
	}
	lines, err := send(ctx, line)
	return lines, commandError(err)
}

func (m module) Restart(ctx context.Context, hard, force bool) error {
	modem, err := m.current()
	if err != nil {
		return err
	}
	return commandError(modem.Restart(ctx, hard, force))
}

// commandError tells the failures apart on which a command branches.
func commandError(err error) error {
	var refusal *at.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return &control.Error{Code: control.CodeRefused, Message: err.Error()}
	case gsmnet.CauseOf(err) == gsmnet.CauseUsage:
		text := err.Error()
		if errors.Is(err, gsmnet.ErrDisturbs) {
			text += "; --force sends it all the same, and the connection is made anew"
		}
		return &control.Error{Code: control.CodeInvalid, Message: text}
	}
	return &control.Error{Code: control.CodeTemporary, Message: err.Error()}
}

// module is how the commands reach the link's module.
func (l *modemLink) module(port string) module {
	return module{port, func() (*gsmnet.Modem, error) {
		l.mu.Lock()
		modem := l.modem
		l.mu.Unlock()
		if modem == nil {
			return nil, &control.Error{Code: control.CodeTemporary, Message: "the agent has not opened the serial port " + port + ": fieldpost status says why"}
		}
		return modem, nil
	}}
}
