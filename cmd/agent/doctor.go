package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/internal/uplink"
)

// doctorWithin bounds all checks together: three minutes each for network, GPRS and context are the longest that are normal.
const doctorWithin = 12 * time.Minute

// A checkState is how a check ended.
type checkState string

const (
	checkOK      checkState = "ok"
	checkFailed  checkState = "failed"
	checkSkipped checkState = "skipped" // not needed, or an earlier one has failed
)

// finding is one line of the doctor.
type finding struct {
	Check  string     `json:"check"`
	State  checkState `json:"state"`
	Detail string     `json:"detail"`
	Fix    *string    `json:"fix"`    // what to do; null when nothing is wrong
	Broker *string    `json:"broker"` // whom the check is about when there are several; else null
}

// The checks, in order. On the machine's own network they begin at checkDNS.
const (
	checkPort         = "port"
	checkLock         = "lock"
	checkRestart      = "restart"
	checkAT           = "at"
	checkSIM          = "sim"
	checkRegistration = "registration"
	checkSignal       = "signal"
	checkAttach       = "attach"
	checkIP           = "ip"
	checkDNS          = "dns"
	checkTCP          = "tcp"
	checkTLS          = "tls"
	checkMQTT         = "mqtt"
	checkPuback       = "puback"
)

// fixes say what to do when a check has failed.
var fixes = map[string]string{
	checkPort:         `plug the module in, name its device in modem.port ("fieldpost modem ports" lists them), and let the agent's user open it (group dialout)`,
	checkLock:         "stop the program that uses the port; tell ModemManager to leave it alone (configs/70-fieldpost.rules)",
	checkRestart:      "correct modem.restart, and let the agent's user have the wires (group gpio) or run the program",
	checkAT:           "check the module's supply (2 A bursts), that it is switched on (PWRKEY, STATUS), TX and RX, and modem.baud",
	checkSIM:          "check the SIM's seat and modem.pin_file; a PIN that was refused is not tried again: correct it before the SIM locks",
	checkRegistration: "check the antenna and the place; if the network refuses the SIM, ask its operator",
	checkSignal:       "move or raise the antenna, and check its plug",
	checkAttach:       "ask the operator whether the SIM's plan has data, and whether this cell carries GPRS",
	checkIP:           "check modem.apn, modem.user and modem.password_file with the operator",
	checkDNS:          "check the host in broker.url; an address instead of a name needs no name server",
	checkTCP:          "check host and port in broker.url, that the broker runs, and the firewalls on the way",
	checkTLS:          "the port, if it has no TLS; else the certificate: this machine's clock, broker.ca_file and the name in it",
	checkMQTT:         "check broker.username, broker.password_file and what the broker allows this account",
	checkPuback:       "look into the broker's log, and whether it lets this account publish",
}

// report takes the checks in order and prints each as soon as it is known.
type report struct {
	out    io.Writer // nil: nothing is printed
	live   io.Writer // a terminal that shows what is being waited for; nil: there is none
	broker *string   // whom the checks are about; nil: there is only one
	checks []finding
	failed bool
}

// about says which broker the next checks are about, if there are several.
func (r *report) about(b uplink.Endpoint, several bool) {
	if several {
		text := b.String()
		r.broker = &text
	}
}

// waiting shows what is being waited for until the next line.
func (r *report) waiting(what string) {
	if r.live != nil {
		fmt.Fprintf(r.live, "\r  %-13s %s ...\x1b[K", "", clip(printable(what), statusColumns-20))
	}
}

func (r *report) add(name string, state checkState, format string, args ...any) {
	c := finding{Check: name, State: state, Detail: fmt.Sprintf(format, args...)}
	if state == checkFailed {
		fix := fixes[name]
		c.Fix, r.failed = &fix, true
	}
	text := c.Detail
	if c.Broker = r.broker; c.Broker != nil {
		text = *c.Broker + ": " + text
	}
	r.checks = append(r.checks, c)
	if r.live != nil {
		fmt.Fprint(r.live, "\r\x1b[K")
	}
	if r.out == nil {
		return
	}
	mark := map[checkState]string{checkOK: "+", checkFailed: "x", checkSkipped: "."}[state]
	fmt.Fprintf(r.out, "%s %-13s %s\n", mark, name, text)
	if c.Fix != nil {
		fmt.Fprintf(r.out, "  %-13s fix: %s\n", "", *c.Fix)
	}
}

func (r *report) ok(name, format string, args ...any) { r.add(name, checkOK, format, args...) }

func (r *report) fail(name string, err error) { r.add(name, checkFailed, "%s", uplink.Why(err)) }

// skip notes the checks whose turn can't come.
func (r *report) skip(reason string, names ...string) {
	for _, name := range names {
		r.add(name, checkSkipped, "%s", reason)
	}
}

// signal judges the strength of the network's signal.
func (r *report) signal(dbm *int) {
	switch {
	case dbm == nil:
		r.add(checkSignal, checkFailed, "the module receives nothing, or can't say how much")
	case *dbm < deadSignal:
		r.add(checkSignal, checkFailed, "%d dBm is too weak", *dbm)
	default:
		r.ok(checkSignal, "%d dBm, %s", *dbm, signalWord(*dbm))
	}
}

func newDoctor() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the way from the serial port to the broker, one line a step, with cause and fix",
		Long: `Checks port, lock, the wires of modem.restart, AT, SIM, registration, signal, GPRS and address, and for each broker name,
TCP, TLS and MQTT, and publishes a test message to DEVICE/fieldpost/doctor (QoS 1, not retained) under a client id of its own. While the agent runs it has the port, so what is
told then is the agent's own state. Run it as the agent's user. It can take minutes where the network is slow.

Exit code 1: a check has failed.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			r := &report{}
			if !asJSON {
				r.out = cmd.OutOrStdout()
				if f, ok := r.out.(*os.File); ok && isLive(f) {
					r.live = f
				}
			}
			source, err := examine(cmd.Context(), cfg, r)
			if err != nil {
				return err
			}
			if asJSON {
				err := json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Schema int       `json:"schema"`
					OK     bool      `json:"ok"`
					Source string    `json:"source"` // "agent": the running agent's state; "direct": found out by the command itself
					Checks []finding `json:"checks"`
				}{1, !r.failed, source, r.checks})
				if err != nil {
					return err
				}
			}
			if r.failed {
				return &exitError{code: exitFailed}
			}
			return nil
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// examine asks the running agent or, when none runs, goes the way itself.
func examine(ctx context.Context, cfg *config.Config, r *report) (source string, err error) {
	ctx, cancel := context.WithTimeout(ctx, doctorWithin)
	defer cancel()
	client := control.NewClient(cfg.ControlSocket())
	st, err := client.Status(ctx)
	switch {
	case err == nil:
		if r.out != nil {
			fmt.Fprintln(r.out, "the agent runs and has the link: this is its own state")
		}
		var info *control.ModemInfo
		if i, err := client.ModemInfo(ctx); err == nil {
			info = &i
		}
		agentChecks(r, st, info)
		if cfg.Link == config.LinkModem {
			restartCheck(r, cfg)
		}
		return "agent", nil
	case !errors.Is(err, control.ErrNotRunning):
		return "", err
	}
	return "direct", directChecks(ctx, cfg, r)
}

// stepChecks are the checks that a step of the agent's link stands for.
var stepChecks = map[agent.Step][]string{
	agent.StepPort:         {checkPort, checkLock},
	agent.StepPower:        {checkAT},
	agent.StepSIM:          {checkSIM},
	agent.StepRegistration: {checkRegistration, checkSignal},
	agent.StepAttach:       {checkAttach},
	agent.StepIP:           {checkIP},
	agent.StepTCP:          {checkDNS, checkTCP},
	agent.StepTLS:          {checkTLS},
	agent.StepMQTT:         {checkMQTT},
}

// agentChecks tells the state of the running agent. What comes behind a step that isn't there has not been tried.
func agentChecks(r *report, st agent.Status, info *control.ModemInfo) {
	reached := true
	for _, s := range st.Link.Steps {
		names := stepChecks[s.Step]
		switch {
		case !reached:
			r.skip("not yet tried", names...)
		case s.State == agent.StepOK:
			for _, name := range names {
				if name == checkSignal && info != nil {
					r.signal(info.SignalDBm)
				} else {
					r.ok(name, "%s", stepLine(s, st.Time))
				}
			}
		default:
			reached = false
			at := failedCheck(st, names)
			for i, name := range names {
				switch {
				case i < at:
					r.ok(name, "passed")
				case i > at:
					r.skip("not yet tried", name)
				case s.State == agent.StepIdle:
					r.add(name, checkFailed, "%s", st.Reason)
				default:
					r.add(name, checkFailed, "%s", stepLine(s, st.Time))
				}
			}
		}
	}
	switch d := st.Delivery; {
	case !reached:
		r.skip("no session", checkPuback)
	case d.LastDeliveredAt != nil:
		r.ok(checkPuback, "%d readings delivered, the last %s ago", d.Delivered, agent.Span(st.Time.Sub(*d.LastDeliveredAt)))
	default:
		r.skip("nothing was sent since the agent's start", checkPuback)
	}
}

// failedCheck tells which of a step's checks it is that fails, by the cause of the outage that lasts.
func failedCheck(st agent.Status, names []string) int {
	if len(names) < 2 || len(st.Outages) == 0 || st.Outages[0].Until != nil {
		return 0
	}
	switch cause := st.Outages[0].Cause; names[0] {
	case checkDNS:
		if cause != agent.CauseDNS {
			return 1
		}
	}
	return 0
}
