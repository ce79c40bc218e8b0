package gsmnet

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Whatever comes from outside and goes into an AT command passes one of these. A quote would end the argument, a CR the
// command, and Ctrl-Z or ESC a send; other bytes differ in meaning with the character set of the module.

// quote puts a checked string between quotes.
func quote(s string) string { return `"` + s + `"` }

func checkChars(s string, most int, allowed func(c byte) bool) error {
	if len(s) > most {
		return fmt.Errorf("%d characters are too long: at most %d", len(s), most)
	}
	for i := range len(s) {
		if !allowed(s[i]) {
			return fmt.Errorf("character %q at position %d is not allowed here", s[i], i+1)
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// checkAPN: letters, digits, hyphens and dots (3GPP TS 23.003 section 9.1); underscores are seen in the field.
func checkAPN(s string) error {
	return checkChars(s, 100, func(c byte) bool { return alphanumeric(c) || c == '-' || c == '.' || c == '_' })
}

// checkText is for user name and password: what is printable in ASCII but quote and backslash.
func checkText(s string) error {
	err := checkChars(s, 64, func(c byte) bool { return c > ' ' && c < 0x7F && c != '"' && c != '\\' })
	if err != nil {
		return errors.New("only printable ASCII without spaces, quotes and backslashes, at most 64 characters") // never the value
	}
	return nil
}

func checkPIN(s string) error {
	if s == "" {
		return nil
	}
	if err := checkChars(s, 8, func(c byte) bool { return '0' <= c && c <= '9' }); err != nil || len(s) < 4 {
		return errors.New("must be four to eight digits") // never the value
	}
	return nil
}

// checkHost takes an IPv4 address or a host name.
func checkHost(s string) (isName bool, err error) {
	if s == "" {
		return false, errors.New("empty host")
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if !a.Is4() {
			return false, fmt.Errorf("%s: the module speaks IPv4 only", s)
		}
		return false, nil
	}
	if err := checkChars(s, 100, func(c byte) bool { return alphanumeric(c) || c == '-' || c == '.' || c == '_' }); err != nil {
		return false, fmt.Errorf("host %q: %w", s, err)
	}
	return true, nil
}

func checkPort(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q: must be a number from 1 to 65535", s)
	}
	return nil
}

// forbidden are the commands that Command refuses: those of never, and what would change what the driver relies on.
var forbidden = []refusal{
	{"AT+QIOPEN", "use DialContext"},
	{"AT+QICLOSE", "close the connection instead"},
	{"AT+QIDEACT", "the driver owns the context"},
	{"AT+QIACT", "the driver owns the context"},
	{"AT+QIREGAPP", "the driver owns the context"},
	{"AT+CFUN=", "restarts are spaced by the driver"}, {"AT+QPOWD", "restarts are spaced by the driver"},
	{"ATE", "the driver owns this setting"}, {"ATV", "the driver owns this setting"}, {"ATQ", "the driver owns this setting"},
	{"ATZ", "it resets settings"}, {"AT&F", "it resets settings"},
}

// never are the commands that ForceCommand refuses too.
var never = []refusal{
	{"AT+QISEND", "sending belongs to the connection"},
	{"AT+QIRD", "it takes data from the connection"},
	{"AT+CPIN=", "a PIN is tried once only, by Config.PIN"},
	{"AT+CLCK", "it can lock the SIM"},
	{"AT+CPWD", "it can lock the SIM"},
	{"AT+QOPS", "it makes some modules hang until they are switched off"},
	{"AT+CMGS", "it opens a prompt"}, {"AT+CMGW", "it opens a prompt"}, {"AT+CFTPPUT", "it opens a prompt"},
	{"AT+IPR=", "the port would have to follow"},
	{"ATO", "it enters data mode"}, {"ATD", "it dials"},
}

// refusal says why commands that begin so are refused.
type refusal struct{ prefix, why string }

// checkCommand takes a whole AT command from a person or a program.
func checkCommand(line string) error {
	if err := checkForced(line); err != nil {
		return err
	}
	if err := refused(line, forbidden); err != nil {
		return fmt.Errorf("%w: %w", ErrDisturbs, err)
	}
	return nil
}

// ErrDisturbs means that Command refuses what ForceCommand would send: it would end the connection, or change what the driver relies on.
var ErrDisturbs = errors.New("it would disturb the connection")

// checkForced is checkCommand for who insists.
func checkForced(line string) error {
	if !strings.HasPrefix(bare(line), "AT") {
		return errors.New("a command begins with AT")
	}
	if err := checkChars(line, 256, func(c byte) bool { return c >= ' ' && c < 0x7F }); err != nil {
		return err
	}
	if strings.Contains(line, ";") {
		return errors.New("one command at a time (G7.4), without semicolons")
	}
	return refused(line, never)
}

func refused(line string, list []refusal) error {
	for _, f := range list {
		if strings.HasPrefix(bare(line), f.prefix) {
			return fmt.Errorf("%s is not allowed: %s", f.prefix, f.why)
		}
	}
	return nil
}
