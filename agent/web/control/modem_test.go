package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/web/control"
)

// module is a control.Modem that answers AT+CSQ and notes what it is asked.
type module struct {
	asked []string
	err   error
}

func (m *module) Info(context.Context) (control.ModemInfo, error) {
	model, dbm := "Quectel_M95", -71
	return control.ModemInfo{Schema: control.ModemInfoSchema, Model: &model, SignalDBm: &dbm}, m.err
}

func (m *module) Command(_ context.Context, line string, force bool) ([]string, error) {
	m.asked = append(m.asked, line)
	if force {
		m.asked = append(m.asked, "force")
	}
	return []string{"+CSQ: 21,0"}, m.err
}

func (m *module) Restart(_ context.Context, hard, force bool) error {
	for name, on := range map[string]bool{"hard": hard, "force": force} {
		if on {
			m.asked = append(m.asked, name)
		}
	}
	slices.Sort(m.asked)
	return m.err
}

func TestModem(t *testing.T) {
	m := &module{}
	client := start(t, func(c *control.Config) { c.Modem = m })
	info, err := client.ModemInfo(t.Context())
	if err != nil || info.Model == nil || *info.Model != "Quectel_M95" || info.SignalDBm == nil || *info.SignalDBm != -71 || info.IMEI != nil {
		t.Errorf("info: got %+v, %v", info, err)
	}
	lines, err := client.ModemCommand(t.Context(), "AT+CSQ", true)
	if d := cmp.Diff([]string{"+CSQ: 21,0"}, lines); err != nil || d != "" {
		t.Errorf("command: %v %s", err, d)
	}
	if d := cmp.Diff([]string{"AT+CSQ", "force"}, m.asked); d != "" {
		t.Error(d)
	}
	m.asked = nil
	if err := client.ModemRestart(t.Context(), true, true); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"force", "hard"}, m.asked); d != "" {
		t.Error(d)
	}
}

func TestModemErrors(t *testing.T) {
	for _, want := range []control.Code{control.CodeInvalid, control.CodeRefused, control.CodeTemporary} {
		client := start(t, func(c *control.Config) { c.Modem = &module{err: &control.Error{Code: want, Message: "no"}} })
		var e *control.Error
		if err := client.ModemRestart(t.Context(), false, false); !errors.As(err, &e) || e.Code != want || e.Message != "no" {
			t.Errorf("got %#v, want code %s", err, want)
		}
	}
	client := start(t, func(c *control.Config) { c.Modem = &module{err: errors.New("gone")} })
	var e *control.Error
	if _, err := client.ModemCommand(t.Context(), "AT", false); !errors.As(err, &e) || !e.Temporary() {
		t.Errorf("got %v, want a temporary one", err)
	}
}

func TestNoModem(t *testing.T) {
	client := start(t, nil)
	var e *control.Error
	if _, err := client.ModemInfo(t.Context()); !errors.As(err, &e) || e.Code != control.CodeNoModem {
		t.Errorf("got %v, want code %s", err, control.CodeNoModem)
	}
}
