package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
)

func newModem() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "modem",
		Short: "Look at the module, talk to it, restart it",
		Long: `Works through the running agent, beside its traffic, or on the serial port itself when none runs.

Exit code 1: the module refuses, or can't be reached; 2: it would not be asked that; 75: not now.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newModemPorts(), newModemInfo(), newModemAT(), newModemReset())
	return cmd
}

func newModemPorts() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ports",
		Short: "List the serial ports of this machine and who uses them",
		Args:  cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			list, err := gsmnet.Ports()
			if err != nil {
				return err
			}
			if asJSON {
				return portsJSON(cmd.OutOrStdout(), list)
			}
			if len(list) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no serial port: is the module plugged in, and its driver loaded?")
			}
			printPorts(cmd.OutOrStdout(), list)
			return nil
		}),
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// portJSON is a port in the JSON form of "modem ports".
type portJSON struct {
	Path    string   `json:"path"`
	Links   []string `json:"links"`
	USB     *string  `json:"usb_id"`
	Product *string  `json:"product"`
	PID     *int     `json:"holder_pid"`
	Holder  *string  `json:"holder"`
}

func portsJSON(out io.Writer, list []gsmnet.PortInfo) error {
	ports := make([]portJSON, 0, len(list))
	for _, p := range list {
		j := portJSON{Path: p.Path, Links: append([]string{}, p.Links...), USB: known(p.USB), Product: known(p.Product)}
		if p.Holder > 0 {
			j.PID, j.Holder = &p.Holder, known(p.Name)
		}
		ports = append(ports, j)
	}
	return json.NewEncoder(out).Encode(struct {
		Schema int        `json:"schema"`
		Ports  []portJSON `json:"ports"`
	}{1, ports})
}

func printPorts(out io.Writer, list []gsmnet.PortInfo) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range list {
		holder := "free"
		if p.Holder > 0 {
			holder = fmt.Sprintf("used by process %d (%s)", p.Holder, p.Name)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Path, strings.TrimSpace(p.USB+" "+p.Product), holder)
		for _, link := range p.Links {
			fmt.Fprintf(w, "  %s\t\t\n", link)
		}
	}
	_ = w.Flush()
}

func newModemInfo() *cobra.Command {
	var path string
	var asJSON, full bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Say who and where the module is",
		Args:  cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			info, err := modemInfo(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if info.ICCID != nil && !full {
				short := shortICCID(*info.ICCID)
				info.ICCID = &short
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(info)
			}
			printInfo(cmd.OutOrStdout(), info)
			return nil
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&full, "full", false, "the whole ICCID, which names the SIM and its owner")
	return cmd
}

func modemInfo(ctx context.Context, cfg setup) (info control.ModemInfo, err error) {
	err = withModule(ctx, cfg, false,
		func(ctx context.Context, c *control.Client) (err error) { info, err = c.ModemInfo(ctx); return err },
		func(ctx context.Context, m control.Modem) (err error) { info, err = m.Info(ctx); return err })
	return info, err
}

// shortICCID leaves what tells two SIMs in a drawer apart: the country and issuer, and the last digits.
func shortICCID(s string) string {
	if len(s) < 12 {
		return s
	}
	return s[:6] + "…" + s[len(s)-4:]
}

func printInfo(out io.Writer, i control.ModemInfo) {
	text := func(s *string) string {
		if s == nil {
			return "unknown"
		}
		return *s
	}
	signal := "unknown"
	if i.SignalDBm != nil {
		signal = fmt.Sprintf("%d dBm, %s", *i.SignalDBm, signalWord(*i.SignalDBm))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"port", i.Port}, {"module", text(i.Model)}, {"firmware", text(i.Revision)}, {"IMEI", text(i.IMEI)}, {"ICCID", text(i.ICCID)},
		{"operator", text(i.Operator)}, {"signal", signal}, {"registration", text(i.Registration)}, {"location area", text(i.LAC)}, {"cell", text(i.Cell)}, {"address", text(i.IP)},
		{"network time", text(i.NetworkTime)}, {"alarm", text(i.Alarm)},
	} {
		if line[0] == "alarm" && i.Alarm == nil {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	_ = w.Flush()
}

// Signal strengths: GSM asks a receiver to work down to -102 dBm (3GPP TS 45.005); what is above it is margin for rain and leaves.
const (
	weakSignal = -95
	deadSignal = -105
)

func signalWord(dbm int) string {
	switch {
	case dbm < deadSignal:
		return "too weak"
	case dbm < weakSignal:
		return "weak"
	}
	return "good"
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
