package config

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// modemTimeouts are the values of the module's vendor, and for an ordinary command a sixth of what it grants.
func modemTimeouts() ModemTimeouts {
	return ModemTimeouts{
		Command: Duration(10 * time.Second), Hang: Duration(time.Minute), Register: Duration(3 * time.Minute),
		Attach: Duration(3 * time.Minute), Activate: Duration(3 * time.Minute), Open: Duration(110 * time.Second),
		Close: Duration(90 * time.Second), Deactivate: Duration(time.Minute),
	}
}

func (c *Config) checkTimeouts(k *checker) {
	t := c.Modem.Timeouts
	for _, x := range []struct {
		key         string
		value       Duration
		least, most time.Duration
	}{
		{"command", t.Command, time.Second, time.Minute},
		{"hang", t.Hang, 10 * time.Second, 10 * time.Minute},
		{"register", t.Register, 10 * time.Second, time.Hour},
		{"attach", t.Attach, 10 * time.Second, 10 * time.Minute},
		{"activate", t.Activate, 10 * time.Second, 10 * time.Minute},
		{"open", t.Open, 10 * time.Second, 4 * time.Minute},
		{"close", t.Close, 5 * time.Second, 10 * time.Minute},
		{"deactivate", t.Deactivate, 10 * time.Second, 90 * time.Second},
	} {
		between(k, "modem.timeouts."+x.key, x.value, Duration(x.least), Duration(x.most))
	}
}

// checkTimeServer: the host stands between the quotes of an AT command.
func (c *Config) checkTimeServer(k *checker) {
	const key, hint = "modem.time_server", "write HOST:PORT, such as time.example:123"
	text := c.Modem.TimeServer
	if text == "" {
		return
	}
	host, port, err := net.SplitHostPort(text)
	n, perr := strconv.ParseUint(port, 10, 16)
	bad := func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("-._", r) }
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsFunc(host, bad) {
		k.fail(key, hint, "%q is no address of a time server", text)
	}
}
