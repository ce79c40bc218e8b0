package config

import "time"

// Reading is what all sources that read something by themselves have in
// common.
type Reading struct {
	Name       string   `yaml:"name"`        // {source} of the topic; different for each source
	Topic      string   `yaml:"topic"`       // with {device}, {source}, {field} and what the kind of source adds
	Lane       string   `yaml:"lane"`        // alarm, normal or bulk
	QoS        int      `yaml:"qos"`         // left out: broker.qos
	Payload    string   `yaml:"payload"`     // PayloadValue or PayloadJSON
	Change     bool     `yaml:"change"`      // send only what has changed
	Deadband   float64  `yaml:"deadband"`    // send only what has changed by at least that much; 0: no deadband
	MaxSilence Duration `yaml:"max_silence"` // with change or deadband: what has not changed is sent after that long; 0s: never
}

// Forms of a payload.
const (
	PayloadValue = "value" // 21.5
	PayloadJSON  = "json"  // {"value":21.5,"time":"2026-05-01T10:00:00.000Z"}
)

// Lines says how lines of text are taken apart.
type Lines struct {
	Format    string `yaml:"format"`    // line, regex, csv, json or influx
	Pattern   string `yaml:"pattern"`   // regex: with a group (?P<name>…) for each value
	Columns   List   `yaml:"columns"`   // csv: their names; "-" for one that isn't wanted
	Separator string `yaml:"separator"` // csv: between the columns
	Fields    List   `yaml:"fields"`    // json: those that are wanted; none: all
	Precision string `yaml:"precision"` // influx: of its times
}

// ExecSource runs a program.
type ExecSource struct {
	Reading  `yaml:",inline"`
	Command  Args     `yaml:"command"`
	Interval Duration `yaml:"interval"` // 0s: it runs all the time, and each line that it prints is a reading
	Timeout  Duration `yaml:"timeout"`  // of a run or, without an interval, of silence; 0s: 30s, and no limit without an interval
	MaxRate  int      `yaml:"max_rate"` // lines in a second that are read; the program waits
	Lines    `yaml:",inline"`
}

// SerialSource reads lines from a serial port.
type SerialSource struct {
	Reading  `yaml:",inline"`
	Port     string   `yaml:"port"`
	Baud     int      `yaml:"baud"`
	Mode     string   `yaml:"mode"`     // data bits, parity and stop bits, such as 8N1
	Interval Duration `yaml:"interval"` // shortest time between two messages of a topic; 0s: every line
	Lines    `yaml:",inline"`
}

// SysfsSource reads the kernel's files of sensors.
type SysfsSource struct {
	Reading  `yaml:",inline"`
	Kind     string   `yaml:"kind"`  // SysfsW1, SysfsHwmon, SysfsIIO or SysfsFile
	Path     string   `yaml:"path"`  // folder of the devices; with SysfsFile the files, with * for any name
	Match    List     `yaml:"match"` // CHIP/SENSOR that are wanted, with * for any; none: all
	Scale    float64  `yaml:"scale"` // with SysfsFile: what the number is multiplied by
	Interval Duration `yaml:"interval"`
}

// Kinds of files of the kernel.
const (
	SysfsW1    = "w1"    // 1-wire thermometers
	SysfsHwmon = "hwmon" // voltages, temperatures, fans
	SysfsIIO   = "iio"   // analog inputs, humidity, pressure, light
	SysfsFile  = "file"  // any file that holds one number
)

// ModbusSource reads registers.
type ModbusSource struct {
	Reading   `yaml:",inline"`
	URL       string           `yaml:"url"`  // tcp://HOST:PORT, or rtu:///dev/PORT
	Baud      int              `yaml:"baud"` // of rtu
	Mode      string           `yaml:"mode"` // of rtu: data bits, parity and stop bits, such as 8N1
	Unit      int              `yaml:"unit"` // address of the device
	Timeout   Duration         `yaml:"timeout"`
	Interval  Duration         `yaml:"interval"`
	Registers []ModbusRegister `yaml:"registers"`
}

// ModbusRegister is one value of a device.
type ModbusRegister struct {
	Field   string  `yaml:"field"`
	Table   string  `yaml:"table"` // holding, input, coil or discrete
	Address int     `yaml:"address"`
	Type    string  `yaml:"type"`
	Order   string  `yaml:"order"` // of the bytes: abcd, cdab, badc or dcba
	Scale   float64 `yaml:"scale"`
	Offset  float64 `yaml:"offset"`
}

// TailSource follows a file that others append lines to.
type TailSource struct {
	Reading `yaml:",inline"`
	Path    string `yaml:"path"`
	From    string `yaml:"from"`     // TailEnd or TailStart: where it begins with a file that it has never read
	MaxRate int    `yaml:"max_rate"` // lines in a second
	Lines   `yaml:",inline"`
}

// Where a file is begun.
const (
	TailEnd   = "end"
	TailStart = "start"
)

// qosOfBroker stands for the QoS of the broker section until all is read.
const qosOfBroker = -1

func newReading() Reading {
	return Reading{Topic: "{device}/{source}", Lane: "normal", QoS: qosOfBroker, Payload: PayloadValue, MaxSilence: Duration(time.Hour)}
}

func newLines() Lines { return Lines{Format: "line", Separator: ",", Precision: "ns"} }

func (s *ExecSource) setDefaults() {
	*s = ExecSource{Reading: newReading(), Lines: newLines(), MaxRate: 100}
}

func (s *SerialSource) setDefaults() {
	*s = SerialSource{Reading: newReading(), Lines: newLines(), Baud: 9600, Mode: "8N1"}
}

func (s *SysfsSource) setDefaults() {
	*s = SysfsSource{Reading: newReading(), Scale: 1, Interval: Duration(time.Minute)}
}

func (s *ModbusSource) setDefaults() {
	*s = ModbusSource{Reading: newReading(), Baud: 9600, Mode: "8N1", Unit: 1, Timeout: Duration(time.Second), Interval: Duration(time.Minute)}
}

func (r *ModbusRegister) setDefaults() {
	*r = ModbusRegister{Table: "holding", Type: "uint16", Order: "abcd", Scale: 1}
}

func (s *TailSource) setDefaults() {
	*s = TailSource{Reading: newReading(), Lines: newLines(), From: TailEnd, MaxRate: 1000}
}
