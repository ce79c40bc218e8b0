package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds and where they come from.
const (
	maxDevice = 64  // fits every broker's client id and a line of the status page
	maxSocket = 107 // sun_path of unix(7), less its final NUL
	maxAPN    = 100 // 3GPP TS 23.003, 9.1
	maxLogin  = 64  // two of them and an APN fit an AT command line of 256 characters

	// Below half a minute a data plan goes into pings. Module and networks
	// forget a connection after 10 silent minutes, so a fixed keepalive stays
	// below; one that is learned goes as far as a network was seen to bear.
	minKeepalive      = 30 * time.Second
	maxKeepalive      = 10 * time.Minute
	maxLearnedSilence = time.Hour

	minQueue = MiB       // holds at least one message of the largest payload
	maxQueue = 256 * GiB // beyond any board's disk
	// On 32-bit machines the queue's file is mapped into half of the address space.
	maxQueue32 = GiB

	maxMonthStart = 28      // every month has it
	minBudget     = MiB / 2 // a ping each 10 minutes

	maxPayloadLimit = 512 * KiB // minutes of GPRS time
	maxCommitWait   = time.Second

	// A crash repeats what was released within this time.
	minReleaseWait = 10 * time.Millisecond
	maxReleaseWait = time.Minute
	maxTopic       = 256 // beyond any sensible one, and little beside MQTT's 65535 bytes for what is put behind it
)

// bauds are the rates that the module's AT+IPR takes and a serial port has.
var bauds = []int{4800, 9600, 19200, 38400, 57600, 115200}

// Validate reports everything that is wrong with c as an [*Error] without
// places, for a configuration that was made by code.
func (c *Config) Validate() error {
	if p := c.problems(); len(p) > 0 {
		return &Error{p}
	}
	return nil
}

// normalize brings values that can be written in two ways to one.
func (c *Config) normalize() {
	for _, listen := range []*string{&c.Sources.MQTT.Listen, &c.Sources.HTTP.Listen, &c.Web.Listen} {
		if *listen == "off" {
			*listen = ""
		}
	}
	c.Sources.normalize(c.Broker.QoS)
}

// A checker gathers problems.
type checker []Problem

func (k *checker) fail(key, hint, format string, args ...any) {
	*k = append(*k, Problem{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (k *checker) oneOf(key, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	hint := ""
	if near := nearest(value, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	k.fail(key, hint, "%q is not one of %s", value, strings.Join(allowed, ", "))
	k.limit(limits{allowed: allowed})
}

// topic checks a topic to publish to, or the first levels of some; "" passes.
func (k *checker) topic(key, value string) {
	switch {
	case strings.ContainsAny(value, "+#"):
		k.fail(key, "", "%q contains a wildcard (+ or #), which only subscriptions may", value)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) || len(value) > maxTopic:
		k.fail(key, "", "must be readable text of at most %d bytes without control characters", maxTopic)
	case strings.HasPrefix(value, "/") || strings.HasSuffix(value, "/"):
		k.fail(key, "write "+strings.Trim(value, "/"), "%q begins or ends with a slash, which makes an empty level", value)
	}
}

// between checks a number, a Size or a Duration.
func between[T cmp.Ordered](k *checker, key string, value, least, most T) {
	if value < least || value > most {
		k.fail(key, "", "%v is out of range: it must be from %v to %v", value, least, most)
		k.limit(limits{least: fmt.Sprint(least), most: fmt.Sprint(most)})
	}
}

// limit tells what the key of the last problem would have taken.
func (k *checker) limit(l limits) { (*k)[len(*k)-1].limits = &l }

func (c *Config) problems() []Problem {
	var k checker
	c.checkTop(&k)
	c.checkModem(&k)
	c.checkBroker(&k)
	c.checkQueue(&k)
	c.checkEncoding(&k)
	c.checkBudget(&k)
	c.checkListeners(&k)
	c.checkSources(&k)
	c.checkDownlink(&k)
	for _, s := range secretsOf(c) {
		if *s.value != "" && *s.file != "" {
			k.fail(s.key+"_file", "remove one of the two", "%s is set too", s.key)
		}
		if p := checkSecret(s.key, *s.value); p != nil {
			k = append(k, *p)
		}
	}
	return k
}

func (c *Config) checkTop(k *checker) {
	switch {
	case c.Device == "":
		k.fail("device", "give each device a name of its own, such as \"device: pump-07\"", "is missing")
	case len(c.Device) > maxDevice:
		k.fail("device", "", "is %d characters long: at most %d are allowed", len(c.Device), maxDevice)
	default:
		for _, r := range c.Device {
			if !isAlnum(r) && !strings.ContainsRune("-_.:", r) {
				k.fail("device", "", "contains %q: use letters, digits, '-', '_', '.' and ':', since it becomes part of topics", r)
				break
			}
		}
	}
	if c.DataDir == "" {
		k.fail("data_dir", "", "is empty: name the directory for the queue, such as /var/lib/fieldpost")
	}
	if socket := c.ControlSocket(); len(socket) > maxSocket {
		k.fail("control.socket", "set control.socket to a shorter path, such as /run/fieldpost/control.sock",
			"%s has %d characters: the system allows a socket's path %d", socket, len(socket), maxSocket)
	}
	k.oneOf("link", c.Link, LinkModem, LinkSystem)
	k.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "auto", "console", "json")
}

func (c *Config) checkModem(k *checker) {
	m := c.Modem
	if c.Link == LinkModem {
		if m.Port == "" {
			k.fail("modem.port", "", "is missing: name the serial port, such as /dev/ttyUSB0, or \"sim\" for the simulated module")
		}
	}
	if !slices.Contains(bauds, m.Baud) {
		k.fail("modem.baud", "", "%d is not a rate of the module: use one of %s", m.Baud, strings.Trim(fmt.Sprint(bauds), "[]"))
		k.limit(limits{allowed: strings.Fields(strings.Trim(fmt.Sprint(bauds), "[]"))})
	}
	if p := checkAT(m.APN, maxAPN); p != "" {
		k.fail("modem.apn", "", "%s", p)
	} else if i := strings.IndexFunc(m.APN, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("-._", r) }); i >= 0 {
		k.fail("modem.apn", "", "contains %q: an APN is made of letters, digits, '-' and '.'", m.APN[i])
	}
	if p := checkAT(m.User, maxLogin); p != "" {
		k.fail("modem.user", "", "%s", p)
	}
	if m.User == "" && m.PasswordFile+m.Password.Reveal() != "" {
		k.fail(givenBy("modem.password", m.PasswordFile), "", "is useless without modem.user")
	}
	k.oneOf("modem.roaming", m.Roaming, RoamingAllow, RoamingRefuse)
	c.checkTimeouts(k)
	c.checkTimeServer(k)
	c.checkRestart(k)
}

// givenBy returns the key that a secret was set with.
func givenBy(key, file string) string {
	if file != "" {
		return key + "_file"
	}
	return key
}

// checkAT says why text can't stand between the quotes of an AT command, or
// returns "". The character itself is described and not quoted, since the text
// may be a secret.
func checkAT(text string, most int) string {
	for i, r := range text {
		at := utf8.RuneCountInString(text[:i]) + 1
		switch {
		case r == '"':
			return fmt.Sprintf("contains a quote (character %d), which would end the value inside an AT command", at)
		case r < ' ' || r == 0x7f:
			return fmt.Sprintf("contains a control character (character %d), which would end the AT command", at)
		case r > unicode.MaxASCII:
			return fmt.Sprintf("contains a character that is not ASCII (character %d), which the module can't take", at)
		}
	}
	if len(text) > most {
		return fmt.Sprintf("is %d characters long: at most %d fit an AT command", len(text), most)
	}
	return ""
}

// checkSecret checks a secret by where it is going to be used, without telling
// any of it.
func checkSecret(key string, secret Secret) *Problem {
	text := secret.Reveal()
	fail := func(message string) *Problem { return &Problem{Key: key, Message: message} }
	switch {
	case text == "":
		return nil
	case key == "modem.password":
		if p := checkAT(text, maxLogin); p != "" {
			return fail(p)
		}
	case key == "modem.pin":
		// 3GPP TS 31.101, 9.5: a PIN has four to eight digits.
		if len(text) < 4 || len(text) > 8 || strings.Trim(text, "0123456789") != "" {
			return fail("is not a PIN: it must be four to eight digits and nothing else")
		}
	case strings.HasSuffix(key, ".token"):
		if len(text) < minToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return fail("a token has at least " + strconv.Itoa(minToken) + " printable ASCII characters and no spaces; make one with: openssl rand -hex 16")
		}
	case len(text) > maxSecret:
		return fail("is longer than MQTT allows")
	}
	return nil
}

// minToken is the length at which guessing over a local network is hopeless
// even for a token typed by hand.
const minToken = 16

func (c *Config) checkBroker(k *checker) {
	b := c.Broker
	if len(b.URL) == 0 {
		k.fail("broker.url", "", "is missing: write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS")
	}
	for _, text := range b.URL {
		if _, err := parseEndpoint(text); err != nil {
			k.fail("broker.url", "", "%v", err)
		}
	}
	if b.ReturnAfter != 0 {
		between(k, "broker.return_after", b.ReturnAfter, Duration(time.Minute), Duration(30*24*time.Hour))
	}
	for _, f := range []struct{ key, text string }{{"broker.client_id", b.ClientID}, {"broker.username", b.Username}} {
		if !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) || len(f.text) > maxSecret {
			k.fail(f.key, "", "must be readable text without control characters")
		}
	}
	if b.Username == "" && b.PasswordFile+b.Password.Reveal() != "" {
		k.fail(givenBy("broker.password", b.PasswordFile), "", "needs broker.username: MQTT takes a password only beside a user name")
	}
	between(k, "broker.qos", b.QoS, 0, 2)
	k.oneOf("broker.release", b.Release, ReleaseProof, ReleaseQISACK, ReleaseBroker)
	if b.Release == ReleaseBroker && b.QoS == 0 {
		k.fail("broker.release", "use release: proof, or qos: 1", "the broker doesn't answer for readings at QoS 0")
	}
	switch {
	case b.ClientCertFile != "" && b.ClientKeyFile == "":
		k.fail("broker.client_cert_file", "", "needs broker.client_key_file: a certificate is useless without its key")
	case b.ClientCertFile == "" && b.ClientKeyFile != "":
		k.fail("broker.client_key_file", "", "needs broker.client_cert_file: a key is useless without its certificate")
	}
	between(k, "broker.poison_after", b.PoisonAfter, 0, 1000)
	if v := time.Duration(b.Keepalive); v != 0 && (v < minKeepalive || v >= maxKeepalive) {
		k.fail("broker.keepalive", "write auto to have it learned", "%v is out of range: it must be at least %v and below %v, after which a silent connection is forgotten by the network",
			b.Keepalive, Duration(minKeepalive), Duration(maxKeepalive))
	}
	between(k, "broker.keepalive_max", b.KeepaliveMax, Duration(minKeepalive), Duration(maxLearnedSilence))
	between(k, "broker.keepalive_min", b.KeepaliveMin, Duration(minKeepalive), b.KeepaliveMax)
	for _, f := range []struct {
		key   string
		value time.Duration
	}{{"broker.keepalive", time.Duration(b.Keepalive)}, {"broker.keepalive_min", time.Duration(b.KeepaliveMin)}, {"broker.keepalive_max", time.Duration(b.KeepaliveMax)}} {
		if f.value%time.Second != 0 {
			k.fail(f.key, "", "%v is not in whole seconds, as MQTT counts it", Duration(f.value))
		}
	}
}

func (c *Config) checkBudget(k *checker) {
	b := c.Budget
	between(k, "budget.month_starts", b.MonthStarts, 1, maxMonthStart)
	if b.MonthlyBytes != 0 && b.MonthlyBytes < minBudget {
		k.fail("budget.monthly_bytes", "write 0 for no budget", "%v is less than keeping the connection costs in a month, which is %v", b.MonthlyBytes, minBudget)
	}
	switch {
	case b.Reserve > 0 && b.MonthlyBytes == 0:
		k.fail("budget.reserve", "", "needs budget.monthly_bytes, of which it is a part")
	case b.Reserve > 0 && b.Reserve >= b.MonthlyBytes:
		k.fail("budget.reserve", "", "%v leaves nothing of budget.monthly_bytes, %v, for readings that are no alarms", b.Reserve, b.MonthlyBytes)
	}
}

func (c *Config) checkQueue(k *checker) {
	q := c.Queue
	most := maxQueue
	if strconv.IntSize == 32 {
		most = maxQueue32
	}
	between(k, "queue.max_bytes", q.MaxBytes, minQueue, most)
	if q.MaxAge < Duration(time.Minute) {
		k.fail("queue.max_age", "", "%v is too short: below 1m readings would expire while the module connects", q.MaxAge)
	}
	k.oneOf("queue.full", q.Full, FullDropOldest, FullRefuse)
	between(k, "queue.commit_wait", q.CommitWait, 0, Duration(maxCommitWait))
	between(k, "queue.release_wait", q.ReleaseWait, Duration(minReleaseWait), Duration(maxReleaseWait))
	k.oneOf("queue.drain", q.Drain, DrainInOrder, DrainLiveFirst)
	between(k, "queue.history_share", q.HistoryShare, 1, 99)
	k.topic("queue.history_topic", q.HistoryTopic)
	between(k, "queue.keep_released", q.KeepReleased, 0, max(0, most-q.MaxBytes))
	k.topic("queue.loss_topic", q.LossTopic)
	between(k, "limits.max_payload", c.Limits.MaxPayload, 1, maxPayloadLimit)
	between(k, "limits.client_messages", c.Limits.ClientMessages, 0, 1_000_000)
	between(k, "limits.client_bytes", c.Limits.ClientBytes, 0, GiB)
}
