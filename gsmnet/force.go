package gsmnet

import (
	"context"
	"errors"
	"strings"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// ForceCommand is Command with a shorter list of refusals: only what may cost the SIM, opens a prompt or a data mode, or can't be
// answered. When Command would have refused the line the connection ends and the module is taken up anew, for nothing that was
// known about it need hold.
func (m *Modem) ForceCommand(ctx context.Context, line string) ([]string, error) {
	if err := checkForced(line); err != nil {
		return nil, &Error{CauseUsage, "command", err}
	}
	disturbs := checkCommand(line) != nil
	v, err := m.ask(ctx, m.cmds, func(context.Context) (any, error) {
		lines, err := m.command(line)
		if disturbs {
			m.unsettle()
		}
		return lines, err
	})
	if err != nil {
		return nil, err
	}
	return v.([]string), nil
}

// unsettle forgets what is known about the module, as after a restart.
func (m *Modem) unsettle() {
	o := &m.owner
	o.synced, o.configured, o.prepared, o.contextUp, o.names = false, false, false, false, -1
	why := errors.New("a command was forced that changes the module's settings or its connection")
	m.breakSocket(CauseLink, why)
	m.setState(StepPower, why.Error(), nil)
}

// command runs one command of somebody else on the owner.
func (m *Modem) command(line string) ([]string, error) {
	r, err := m.do(at.Command{Line: line, Accept: commandReply(line), Timeout: m.cfg.HangTimeout})
	if r.Final != "" && at.Final(r.Final) == at.Foreign {
		r.Lines = append(r.Lines, r.Final) // STATE:, an address: an end that says something
	}
	return r.Lines, err
}

// commandEnds are how commands end that have no OK.
var commandEnds = map[string]string{
	"AT+QICLOSE": "CLOSE OK",
	"AT+QIDEACT": "DEACT OK",
	"AT+QPOWD=1": "NORMAL POWER DOWN",
}

// endsWith accepts a command that ends with the given text, or with OK.
func endsWith(text string) func(string) at.Verdict {
	return func(line string) at.Verdict {
		if line == text {
			return at.Done
		}
		return at.Final(line)
	}
}

// bare is a command as the tables of commands have it.
func bare(line string) string { return strings.ToUpper(strings.ReplaceAll(line, " ", "")) }
