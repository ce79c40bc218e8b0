package gsmnet

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// Info is what the module knows. An empty or nil field is unknown.
type Info struct {
	Model        string
	Revision     string
	IMEI         string
	ICCID        string
	Operator     string
	SignalDBm    *int
	Registration string // "home", "roaming", "searching", "denied", "not registered"
	LAC, Cell    string // location area and cell, four hexadecimal digits each
	IP           netip.Addr
	Time         time.Time // the network's, UTC; zero if it has told none
}

// Info asks the module, beside the running traffic. What it doesn't answer stays unknown; the error is not nil only if the module
// can't be asked at all.
func (m *Modem) Info(ctx context.Context) (Info, error) {
	var i Info
	for _, q := range []struct {
		line   string
		accept func(string) at.Verdict
		take   func([]string)
	}{
		{"ATI", at.Any, i.takeIdentity},
		{"AT+GSN", digits(14), func(l []string) { i.IMEI = l[0] }},
		{"AT+QCCID", digits(10), func(l []string) { i.ICCID = bareICCID(l[0]) }},
		{"AT+CSQ", at.Prefixed("+CSQ:"), i.takeSignal},
		{"AT+CREG?", registrationReply("+CREG:"), i.takeRegistration},
		{"AT+COPS?", at.Prefixed("+COPS:"), i.takeOperator},
	} {
		// One request each, so that a connection's exchanges come in between.
		_, err := m.ask(ctx, m.cmds, func(context.Context) (any, error) {
			r, err := m.do(at.Command{Line: q.line, Accept: q.accept, Timeout: m.cfg.HangTimeout}) // AT+COPS? can be slow
			if isRefusal(err) {
				return nil, nil
			}
			if err == nil && len(r.Lines) > 0 {
				q.take(r.Lines)
			}
			return nil, err
		})
		if err != nil {
			return Info{}, err
		}
	}
	_, err := m.ask(ctx, m.cmds, func(context.Context) (any, error) {
		if m.owner.contextUp {
			i.IP, _ = netip.ParseAddr(m.owner.address)
		}
		if err := m.cell(&i); err != nil {
			return nil, err
		}
		c, err := m.networkTime()
		i.Time = c.Time
		return nil, err
	})
	return i, err
}

// cell asks for the place, which +CREG tells only while it is set to; it would report each change of cell too. On the wire:
//
//	AT+CREG=2, AT+CREG? → +CREG: 2,1,"2842","0461", OK; then as before
func (m *Modem) cell(i *Info) error {
	if err := m.set("AT+CREG=2"); err != nil {
		if isRefusal(err) {
			return nil
		}
		return err
	}
	r, err := m.do(at.Command{Line: "AT+CREG?", Accept: registrationReply("+CREG:"), Timeout: m.cfg.CommandTimeout})
	if err == nil && len(r.Lines) > 0 {
		if f, ok := fields(r.Lines[len(r.Lines)-1], "+CREG:"); ok && len(f) >= 4 {
			i.LAC, i.Cell = strings.Trim(f[2], `"`), strings.Trim(f[3], `"`)
		}
	}
	if err == nil || isRefusal(err) {
		report := "AT+CREG=1"
		if m.cfg.Mode == Transparent {
			report = "AT+CREG=0"
		}
		err = m.set(report)
	}
	if isRefusal(err) {
		return nil
	}
	return err
}

// takeIdentity: Quectel_Ltd, Quectel_M95, Revision: M95FAR02A08.
func (i *Info) takeIdentity(lines []string) {
	for _, l := range lines {
		switch rev, ok := strings.CutPrefix(l, "Revision:"); {
		case ok:
			i.Revision = strings.TrimSpace(rev)
		case l != "Quectel_Ltd":
			i.Model = l
		}
	}
}

// takeSignal: +CSQ: 21,0 in steps of 2 dB from -113 dBm; 99 is unknown (3GPP TS 27.007).
func (i *Info) takeSignal(lines []string) {
	if n, ok := number(lines[0], "+CSQ:", 0); ok && n >= 0 && n <= 31 {
		dbm := -113 + 2*n
		i.SignalDBm = &dbm
	}
}

func (i *Info) takeRegistration(lines []string) {
	stat, ok := registration(lines[len(lines)-1], "+CREG:")
	names := [...]string{"not registered", "home", "searching", "denied", "", "roaming"}
	if ok && stat >= 0 && stat < len(names) {
		i.Registration = names[stat]
	}
}

// takeOperator: +COPS: 0,0,"CHINA UNICOM GSM"; +COPS: 0 when there is none.
func (i *Info) takeOperator(lines []string) {
	if f, ok := fields(lines[0], "+COPS:"); ok && len(f) >= 3 {
		i.Operator = strings.Trim(f[2], `"`)
	}
}
