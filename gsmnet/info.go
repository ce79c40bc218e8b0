package gsmnet

import (
	"context"
	"net/netip"
	"strings"

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
	IP           netip.Addr
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
			r, err := m.do(at.Command{Line: q.line, Accept: q.accept, Timeout: ordinary}) // AT+COPS? can be slow
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
		return nil, nil
	})
	return i, err
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
