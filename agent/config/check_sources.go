package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/registers"
)

const (
	maxSources   = 64              // each has a goroutine, and most a descriptor
	minPoll      = time.Second     // sensors are asked, not flooded
	maxPoll      = 24 * time.Hour  // what speaks less often is not told from what is dead
	maxSpacing   = 24 * time.Hour  // likewise
	maxExec      = time.Hour       // a run that takes longer hangs
	maxBus       = 5 * time.Second // an agent that stops waits for the answer of a device
	maxRegisters = 512
	maxLineRate  = 100_000
)

// normalize puts the broker's QoS where a source names none.
func (s *Sources) normalize(qos int) {
	for _, r := range s.readings() {
		if r.QoS == qosOfBroker {
			r.QoS = qos
		}
	}
}

// sourceRef is what a source has in common with others, and where it stands.
type sourceRef struct {
	*Reading
	key   string
	names []string // that its topic may have beside those of all
}

func (s *Sources) readings() []sourceRef {
	var all []sourceRef
	add := func(kind string, i int, r *Reading, names ...string) {
		all = append(all, sourceRef{r, fmt.Sprintf("sources.%s[%d]", kind, i), names})
	}
	for i := range s.Exec {
		add("exec", i, &s.Exec[i].Reading, labelsOf(s.Exec[i].Lines)...)
	}
	for i := range s.Serial {
		add("serial", i, &s.Serial[i].Reading, labelsOf(s.Serial[i].Lines)...)
	}
	for i := range s.Sysfs {
		add("sysfs", i, &s.Sysfs[i].Reading, "chip")
	}
	for i := range s.Modbus {
		add("modbus", i, &s.Modbus[i].Reading)
	}
	for i := range s.Tail {
		add("tail", i, &s.Tail[i].Reading, labelsOf(s.Tail[i].Lines)...)
	}
	return all
}

// anyTag stands for {tag.NAME} with any name.
const anyTag = "tag.NAME"

func labelsOf(l Lines) []string {
	if l.Format == "influx" {
		return []string{"measurement", anyTag}
	}
	return nil
}

func (c *Config) checkSources(k *checker) {
	all := c.Sources.readings()
	if len(all) > maxSources {
		k.fail("sources", "", "there are %d: at most %d can be read", len(all), maxSources)
	}
	taken := make(map[string]string) // name → key
	for _, r := range all {
		r.check(k)
		if other, twice := taken[r.Name]; twice && r.Name != "" {
			k.fail(r.key+".name", "give each source a name of its own", "%q is the name of %s", r.Name, other)
		}
		taken[r.Name] = r.key
	}
	k.template("sources.http.influx_topic", c.Sources.HTTP.InfluxTopic, []string{"device", reading.FieldName, "measurement", anyTag})
	k.oneOf("sources.http.influx_payload", c.Sources.HTTP.InfluxPayload, PayloadValue, PayloadJSON)
	for i, s := range c.Sources.Exec {
		checkExec(k, fmt.Sprintf("sources.exec[%d].", i), s)
	}
	for i, s := range c.Sources.Serial {
		key := fmt.Sprintf("sources.serial[%d].", i)
		checkPort(k, key, s.Port, s.Baud, s.Mode)
		between(k, key+"interval", s.Interval, 0, Duration(maxSpacing))
		s.Lines.check(k, key)
	}
	for i, s := range c.Sources.Sysfs {
		checkSysfs(k, fmt.Sprintf("sources.sysfs[%d].", i), s)
	}
	for i, s := range c.Sources.Tail {
		checkTail(k, fmt.Sprintf("sources.tail[%d].", i), s)
	}
	for i, s := range c.Sources.Modbus {
		checkModbus(k, fmt.Sprintf("sources.modbus[%d].", i), s)
	}
	c.checkPorts(k)
}

func (r sourceRef) check(k *checker) {
	key := r.key + "."
	switch {
	case r.Name == "":
		k.fail(key+"name", "", "is missing: give the source a name, such as \"name: tank\"")
	case len(r.Name) > maxDevice || strings.ContainsFunc(r.Name, func(c rune) bool { return !isAlnum(c) && !strings.ContainsRune("-_.", c) }):
		k.fail(key+"name", "", "%.80q: use at most %d letters, digits, '-', '_' and '.', since it becomes part of topics", r.Name, maxDevice)
	}
	k.template(key+"topic", r.Topic, append([]string{"device", "source", reading.FieldName}, r.names...))
	k.oneOf(key+"lane", r.Lane, "alarm", "normal", "bulk")
	between(k, key+"qos", r.QoS, 0, 2)
	k.oneOf(key+"payload", r.Payload, PayloadValue, PayloadJSON)
	if r.Deadband < 0 {
		k.fail(key+"deadband", "", "%v is negative: it is by how much a value must have moved", r.Deadband)
	}
	if r.MaxSilence < 0 {
		k.fail(key+"max_silence", "", "%v is negative: write 0s for no limit", r.MaxSilence)
	}
}

// template checks a topic with names in it.
func (k *checker) template(key, text string, names []string) {
	t, err := reading.ParseTemplate(text)
	if err != nil {
		k.fail(key, "", "%s", plain(err))
		return
	}
	if text == "" {
		k.fail(key, "", "is empty: write a topic, such as {device}/{source}")
		return
	}
	k.topic(key, text)
	if strings.HasPrefix(text, "$") {
		k.fail(key, "", "%q begins with $, which is reserved for brokers", text)
	}
	for _, name := range t.Names() {
		tag, isTag := strings.CutPrefix(name, "tag.")
		if slices.Contains(names, name) || isTag && tag != "" && slices.Contains(names, anyTag) {
			continue
		}
		hint := "known here: {" + strings.Join(names, "}, {") + "}"
		if near := nearest(name, names); near != "" {
			hint = "did you mean {" + near + "}?"
		}
		k.fail(key, hint, "nothing stands for {%s}", name)
	}
}

func (l Lines) check(k *checker, key string) {
	if !slices.Contains(reading.Formats(), l.Format) {
		k.oneOf(key+"format", l.Format, reading.Formats()...)
		return
	}
	if _, err := reading.NewParser(l.ReadingFormat()); err != nil {
		about := map[string]string{"regex": "pattern", "csv": "columns", "influx": "precision"}[l.Format]
		k.fail(key+about, "", "%s", plain(err))
	}
	for _, unused := range []struct{ key, value, format string }{
		{"pattern", l.Pattern, "regex"}, {"columns", strings.Join(l.Columns, ","), "csv"}, {"fields", strings.Join(l.Fields, ","), "json"},
	} {
		if unused.value != "" && l.Format != unused.format {
			k.fail(key+unused.key, "", "has a meaning with format: %s only, and the format is %s", unused.format, l.Format)
		}
	}
}

// ReadingFormat returns the description that a parser is made from.
func (l Lines) ReadingFormat() reading.Format {
	return reading.Format{Kind: l.Format, Pattern: l.Pattern, Columns: l.Columns, Separator: l.Separator, Fields: l.Fields, Precision: l.Precision}
}

// plain returns the text of an error without the package that it comes from.
func plain(err error) string {
	_, text, _ := strings.Cut(err.Error(), ": ")
	return text
}

func checkExec(k *checker, key string, s ExecSource) {
	switch {
	case len(s.Command) == 0:
		k.fail(key+"command", "", "is missing: write a list, such as [/usr/local/bin/read-tank, --once]")
	case !strings.HasPrefix(s.Command[0], "/"):
		k.fail(key+"command", "", "%q is no absolute path: no shell and no PATH is involved", s.Command[0])
	}
	if s.Interval != 0 {
		between(k, key+"interval", s.Interval, Duration(minPoll), Duration(maxPoll))
	}
	between(k, key+"timeout", s.Timeout, 0, Duration(maxExec))
	between(k, key+"max_rate", s.MaxRate, 1, maxLineRate)
	s.Lines.check(k, key)
}

func checkSysfs(k *checker, key string, s SysfsSource) {
	k.oneOf(key+"kind", s.Kind, SysfsW1, SysfsHwmon, SysfsIIO, SysfsFile)
	switch {
	case s.Kind == SysfsFile && s.Path == "":
		k.fail(key+"path", "", "is missing: name the file that holds the number")
	case s.Path != "" && !filepath.IsAbs(s.Path):
		k.fail(key+"path", "", "%q is no absolute path", s.Path)
	}
	for _, pattern := range append(slices.Clone(s.Match), s.Path) {
		if _, err := filepath.Match(pattern, ""); err != nil {
			k.fail(key+"match", "", "%q is no pattern: * stands for any name, ? for a character, [ab] for one of them", pattern)
		}
	}
	if s.Scale == 0 {
		k.fail(key+"scale", "", "is 0, which would make every value 0")
	} else if s.Scale != 1 && s.Kind != SysfsFile {
		k.fail(key+"scale", "", "has a meaning with kind: file only: the units of the others are known")
	}
	between(k, key+"interval", s.Interval, Duration(minPoll), Duration(maxPoll))
}

func checkTail(k *checker, key string, s TailSource) {
	if !filepath.IsAbs(s.Path) {
		k.fail(key+"path", "", "%q is no absolute path of a file", s.Path)
	}
	k.oneOf(key+"from", s.From, TailEnd, TailStart)
	between(k, key+"max_rate", s.MaxRate, 1, maxLineRate)
	s.Lines.check(k, key)
}

func checkModbus(k *checker, key string, s ModbusSource) {
	if address, port, err := s.Target(); err != nil {
		k.fail(key+"url", "", "%v", err)
	} else if port != "" {
		checkPort(k, key, port, s.Baud, s.Mode)
		between(k, key+"unit", s.Unit, 1, 247) // MODBUS over Serial Line V1.02, 2.2
	} else if address != "" {
		between(k, key+"unit", s.Unit, 0, 255)
	}
	between(k, key+"timeout", s.Timeout, Duration(10*time.Millisecond), Duration(maxBus))
	between(k, key+"interval", s.Interval, Duration(minPoll), Duration(maxPoll))
	if n := len(s.Registers); n == 0 || n > maxRegisters {
		k.fail(key+"registers", "", "has %d elements: name 1 to %d registers", n, maxRegisters)
	}
	seen := make(map[string]bool)
	for i, r := range s.Registers {
		at := fmt.Sprintf("%sregisters[%d].", key, i)
		switch {
		case r.Field == "" || strings.ContainsFunc(r.Field, func(c rune) bool { return !isAlnum(c) && !strings.ContainsRune("-_.", c) }):
			k.fail(at+"field", "", "%.40q: name the value with letters, digits, '-', '_' and '.'", r.Field)
		case seen[r.Field]:
			k.fail(at+"field", "", "%q is the name of another register", r.Field)
		}
		seen[r.Field] = true
		k.oneOf(at+"table", r.Table, registers.Tables()...)
		k.oneOf(at+"type", r.Type, registers.Types()...)
		k.oneOf(at+"order", r.Order, registers.Orders()...)
		between(k, at+"address", r.Address, 0, 65535)
		if r.Scale == 0 {
			k.fail(at+"scale", "", "is 0, which would make every value 0")
		}
		if err := r.Register().Check(); err != nil && slices.Contains(registers.Tables(), r.Table) && slices.Contains(registers.Types(), r.Type) &&
			slices.Contains(registers.Orders(), r.Order) && r.Address >= 0 && r.Address <= 65535 {
			k.fail(at+"type", "", "%s", plain(err))
		}
	}
}

// Register returns what a request is planned from.
func (r ModbusRegister) Register() registers.Register {
	return registers.Register{Field: r.Field, Table: r.Table, Address: uint16(r.Address), Type: r.Type, Order: r.Order, Scale: r.Scale, Offset: r.Offset}
}

// portModbus is registered for Modbus over TCP.
const portModbus = "502"

// Target returns the address of a device, or the serial port that it is on.
func (s ModbusSource) Target() (address, port string, err error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", "", fmt.Errorf("%q is no url: write tcp://HOST:PORT, or rtu:///dev/PORT", s.URL)
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("%q says more than where the device is", redactURL(s.URL))
	case u.Scheme == "tcp" && u.Hostname() != "" && strings.Trim(u.Path, "/") == "":
		if err := checkHost(u.Hostname()); err != nil {
			return "", "", err
		}
		port := u.Port()
		if port == "" {
			port = portModbus
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", "", fmt.Errorf("port %s is not between 1 and 65535", port)
		}
		return net.JoinHostPort(u.Hostname(), port), "", nil
	case u.Scheme == "rtu" && u.Host == "" && filepath.IsAbs(u.Path):
		return "", u.Path, nil
	}
	return "", "", fmt.Errorf("%q doesn't say where the device is: write tcp://HOST:PORT, or rtu:///dev/PORT", s.URL)
}

// serialRates are what serial sensors use and Linux knows.
var serialRates = []int{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

func checkPort(k *checker, key, port string, baud int, mode string) {
	if port == "" {
		k.fail(key+"port", "", "is missing: name the serial port, such as /dev/ttyUSB1")
	}
	if !slices.Contains(serialRates, baud) {
		k.fail(key+"baud", "", "%d is not a usual rate: use one of %s", baud, strings.Trim(fmt.Sprint(serialRates), "[]"))
		k.limit(limits{allowed: strings.Fields(strings.Trim(fmt.Sprint(serialRates), "[]"))})
	}
	if len(mode) != 3 || !strings.Contains("5678", mode[:1]) || !strings.Contains("NEO", mode[1:2]) || !strings.Contains("12", mode[2:]) {
		k.fail(key+"mode", "", "%q is not data bits, parity (N, E or O) and stop bits, such as 8N1 or 7E1", mode)
	}
}

// checkPorts makes sure that one serial port has one use. Only devices on the
// same Modbus line share one, with the same settings.
func (c *Config) checkPorts(k *checker) {
	type use struct {
		key, mode string
		baud      int
		bus       bool
	}
	uses := map[string]use{}
	if c.Link == LinkModem {
		uses[c.Modem.Port] = use{key: "modem.port"}
	}
	add := func(port string, u use, key string) {
		other, taken := uses[port]
		switch {
		case port == "":
		case taken && (!u.bus || !other.bus):
			k.fail(u.key, "", "%s is used by %s", port, other.key)
		case taken && (u.baud != other.baud || u.mode != other.mode):
			k.fail(key, "devices on one line all speak at the same rate", "%d %s is not that of %s on the same port, %d %s", u.baud, u.mode, other.key, other.baud, other.mode)
		case !taken:
			uses[port] = u
		}
	}
	for i, s := range c.Sources.Serial {
		key := fmt.Sprintf("sources.serial[%d].port", i)
		add(s.Port, use{key: key}, key)
	}
	for i, s := range c.Sources.Modbus {
		if _, port, err := s.Target(); err == nil {
			key := fmt.Sprintf("sources.modbus[%d].", i)
			add(port, use{key: key + "url", baud: s.Baud, mode: s.Mode, bus: true}, key+"baud")
		}
	}
}
