package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// Module shows a gsmnet.Modem to the commands, in the running agent and without one. Its errors are *control.Error.
type Module struct {
	Port    string                        // as it is configured
	Current func() (*gsmnet.Modem, error) // the module that is there now
}

var _ control.Modem = Module{}

func (m Module) Info(ctx context.Context) (control.ModemInfo, error) {
	modem, err := m.Current()
	if err != nil {
		return control.ModemInfo{}, err
	}
	i, err := modem.Info(ctx)
	if err != nil {
		return control.ModemInfo{}, commandError(err)
	}
	info := control.ModemInfo{
		Schema: control.ModemInfoSchema, Port: m.Port, Model: known(i.Model), Revision: known(i.Revision), IMEI: known(i.IMEI),
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

func (m Module) Command(ctx context.Context, line string, force bool) ([]string, error) {
	modem, err := m.Current()
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

func (m Module) Restart(ctx context.Context, hard, force bool) error {
	modem, err := m.Current()
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

// current is the module that the link has opened.
func (l *modemLink) current() (*gsmnet.Modem, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.modem == nil {
		return nil, &control.Error{Code: control.CodeTemporary, Message: "the agent has not opened the serial port " + l.port + ": fieldpost status says why"}
	}
	return l.modem, nil
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
