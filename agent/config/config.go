package config

import (
	"path/filepath"
	"time"
)

// Config is a complete configuration. Make one with [Load], [Parse] or
// [Default]; the zero value of a field is a value like any other ("" turns a
// listener off), not "use the default".
type Config struct {
	Device   string   `yaml:"device"`   // name of this device; the MQTT client id unless broker.client_id is set
	DataDir  string   `yaml:"data_dir"` // directory of the queue and of what was learned
	Link     string   `yaml:"link"`     // LinkModem or LinkSystem
	Modem    Modem    `yaml:"modem"`    // used with LinkModem
	Broker   Broker   `yaml:"broker"`   // where readings go
	Queue    Queue    `yaml:"queue"`    // how they are kept until then
	Encoding Encoding `yaml:"encoding"` // in which form they travel
	Budget   Budget   `yaml:"budget"`   // what may go over the air
	Limits   Limits   `yaml:"limits"`   // what is accepted from sources
	Sources  Sources  `yaml:"sources"`  // where readings come from
	Downlink Downlink `yaml:"downlink"` // which commands are taken from the broker
	Presence Presence `yaml:"presence"` // how the device shows that it is there
	Web      Web      `yaml:"web"`      // status page and metrics
	Control  Control  `yaml:"control"`  // how commands reach the running agent
	Log      Log      `yaml:"log"`
}

// Links that a configuration can name.
const (
	LinkModem  = "modem"  // the module's own TCP stack, by AT commands
	LinkSystem = "system" // the machine's own network
)

// SimPort as Modem.Port stands for the built-in simulated module.
const SimPort = "sim"

// Modem describes the module and the SIM in it.
type Modem struct {
	Port         string `yaml:"port"` // serial device, or SimPort
	Baud         int    `yaml:"baud"`
	APN          string `yaml:"apn"`
	User         string `yaml:"user"`
	Password     Secret `yaml:"password,omitempty"`
	PasswordFile string `yaml:"password_file"`
	PIN          Secret `yaml:"pin,omitempty"`
	PINFile      string `yaml:"pin_file"`

	Roaming    string        `yaml:"roaming"`     // RoamingAllow or RoamingRefuse
	TimeServer string        `yaml:"time_server"` // HOST:PORT of an SNTP server; "": none
	Timeouts   ModemTimeouts `yaml:"timeouts"`
	Restart    Restart       `yaml:"restart"`
}

// ModemTimeouts are how long the module may take.
type ModemTimeouts struct {
	Command    Duration `yaml:"command"`    // an ordinary command
	Hang       Duration `yaml:"hang"`       // no answer to anything
	Register   Duration `yaml:"register"`   // to find a network
	Attach     Duration `yaml:"attach"`     // AT+CGATT
	Activate   Duration `yaml:"activate"`   // AT+QIACT
	Open       Duration `yaml:"open"`       // to CONNECT OK
	Close      Duration `yaml:"close"`      // AT+QICLOSE
	Deactivate Duration `yaml:"deactivate"` // AT+QIDEACT
}

// What to do where only a foreign network takes the SIM.
const (
	RoamingAllow  = "allow"
	RoamingRefuse = "refuse"
)

// Broker describes the MQTT broker and the account there.
type Broker struct {
	URL            List     `yaml:"url"`          // in order of preference
	ReturnAfter    Duration `yaml:"return_after"` // from another than the first; 0: it is kept as long as it works
	Cluster        bool     `yaml:"cluster"`      // the URLs are nodes of one broker, which share its sessions
	ClientID       string   `yaml:"client_id"`    // "": the device's name
	Username       string   `yaml:"username"`
	Password       Secret   `yaml:"password,omitempty"`
	PasswordFile   string   `yaml:"password_file"`
	CAFile         string   `yaml:"ca_file"`          // PEM; "": the system's roots
	ClientCertFile string   `yaml:"client_cert_file"` // PEM, with the chain; "": no certificate is shown
	ClientKeyFile  string   `yaml:"client_key_file"`  // PEM
	QoS            int      `yaml:"qos"`              // of readings on their way, unless an HTTP request names its own
	Keepalive      Auto     `yaml:"keepalive"`        // longest silence; 0: learned
	KeepaliveMin   Duration `yaml:"keepalive_min"`    // bounds of what is learned
	KeepaliveMax   Duration `yaml:"keepalive_max"`
	Release        string   `yaml:"release"`      // ReleaseProof, ReleaseQISACK or ReleaseBroker
	PoisonAfter    int      `yaml:"poison_after"` // ends of the connection at one message until that is suspect; 0: never
}

// What releases a reading from the queue.
const (
	ReleaseProof  = "proof"  // acknowledged bytes and the broker's answer
	ReleaseQISACK = "qisack" // acknowledged bytes
	ReleaseBroker = "broker" // the broker's answer
)

// Queue bounds what is kept on disk.
type Queue struct {
	MaxBytes     Size     `yaml:"max_bytes"`
	MaxAge       Duration `yaml:"max_age"`
	Full         string   `yaml:"full"`          // FullDropOldest or FullRefuse
	CommitWait   Duration `yaml:"commit_wait"`   // how long a reading waits for others to share its write
	ReleaseWait  Duration `yaml:"release_wait"`  // how long a removal waits for a write to share
	Drain        string   `yaml:"drain"`         // DrainInOrder or DrainLiveFirst
	HistoryShare int      `yaml:"history_share"` // percent of the bytes that DrainLiveFirst leaves to history
	HistoryTopic string   `yaml:"history_topic"` // levels before the topics of history with DrainLiveFirst; "": none
	KeepReleased Size     `yaml:"keep_released"` // bounds the delivered readings that are kept; 0: none
	LossTopic    string   `yaml:"loss_topic"`    // of loss receipts; "": DEVICE/fieldpost/loss
}

// Orders in which a backlog is delivered.
const (
	DrainInOrder   = "in_order"
	DrainLiveFirst = "live_first"
)

// What to do with a reading for which the queue has no room.
const (
	FullDropOldest = "drop_oldest"
	FullRefuse     = "refuse"
)

// Budget bounds what goes over the air in a month, as IP packets.
type Budget struct {
	MonthlyBytes Size `yaml:"monthly_bytes"` // 0: no bound
	Reserve      Size `yaml:"reserve"`       // of them, for the alarm lane alone
	MonthStarts  int  `yaml:"month_starts"`  // day of the month
}

// Limits bounds what a source may hand over.
type Limits struct {
	MaxPayload     Size `yaml:"max_payload"`
	ClientMessages int  `yaml:"client_messages"` // a second, of one local client; 0: no limit
	ClientBytes    Size `yaml:"client_bytes"`    // likewise
}

// Sources lists where readings come from.
type Sources struct {
	MQTT   MQTTSource     `yaml:"mqtt"`
	HTTP   HTTPSource     `yaml:"http"`
	Exec   []ExecSource   `yaml:"exec,omitempty"`
	Serial []SerialSource `yaml:"serial,omitempty"`
	Sysfs  []SysfsSource  `yaml:"sysfs,omitempty"`
	Modbus []ModbusSource `yaml:"modbus,omitempty"`
	Tail   []TailSource   `yaml:"tail,omitempty"`
}

// MQTTSource is the local MQTT listener.
type MQTTSource struct {
	Listen     string `yaml:"listen"`      // "": off
	UsersFile  string `yaml:"users_file"`  // "": no login, loopback only
	MaxClients int    `yaml:"max_clients"` // connections at a time
}

// HTTPSource is the local HTTP listener.
type HTTPSource struct {
	Listen    string `yaml:"listen"` // "": off
	Token     Secret `yaml:"token,omitempty"`
	TokenFile string `yaml:"token_file"` // "" and no token: no login, loopback only
	Hosts     List   `yaml:"hosts"`      // names that requests may address it by, beside IP addresses and localhost

	InfluxTopic   string `yaml:"influx_topic"`   // of lines posted to /v1/influx
	InfluxPayload string `yaml:"influx_payload"` // PayloadValue or PayloadJSON
}

// Web is the status page.
type Web struct {
	Listen    string `yaml:"listen"` // "": off
	Token     Secret `yaml:"token,omitempty"`
	TokenFile string `yaml:"token_file"` // "" and no token: no login, loopback only
	Hosts     List   `yaml:"hosts"`      // names that requests may address it by, beside IP addresses and localhost
}

// Control is the unix socket by which commands reach the running agent.
type Control struct {
	Socket string `yaml:"socket"` // "": control.sock in DataDir
}

// Log says what is logged and how it looks.
type Log struct {
	Level  string `yaml:"level"`  // trace, debug, info, warn or error
	Format string `yaml:"format"` // auto, console or json
}

// Default returns the configuration of an empty file. It is not yet a valid
// one: the device, the APN and the broker have no default.
func Default() *Config {
	return &Config{
		DataDir: "/var/lib/fieldpost",
		Link:    LinkModem,
		Modem:   Modem{Port: "/dev/modem", Baud: 115200, Roaming: RoamingAllow, Timeouts: modemTimeouts()},
		// 20 minutes are the most that the large cloud brokers take.
		Broker: Broker{ReturnAfter: Duration(time.Hour), Release: ReleaseProof, PoisonAfter: 5, QoS: 1,
			KeepaliveMin: Duration(30 * time.Second), KeepaliveMax: Duration(20 * time.Minute)},
		Queue: Queue{
			MaxBytes:     64 * MiB,
			MaxAge:       Duration(30 * 24 * time.Hour),
			Full:         FullDropOldest,
			ReleaseWait:  Duration(time.Second),
			Drain:        DrainInOrder,
			HistoryShare: 20,
			HistoryTopic: "history",
		},
		Encoding: defaultEncoding(),
		Budget:   Budget{MonthStarts: 1},
		// At the 20 kbit/s of a GPRS uplink 64 KiB take half a minute.
		Limits: Limits{MaxPayload: 64 * KiB, ClientMessages: 1000, ClientBytes: MiB},
		Sources: Sources{
			MQTT: MQTTSource{Listen: "127.0.0.1:1884", MaxClients: 32},
			HTTP: HTTPSource{Listen: "127.0.0.1:8081", InfluxTopic: "{device}/{measurement}", InfluxPayload: PayloadValue},
		},
		Downlink: Downlink{Allow: List{"status"}, Prefix: "fieldpost/cmd", MaxBytes: 2 * KiB, Rate: 12, MaxAge: Duration(24 * time.Hour)},
		Web:      Web{Listen: "127.0.0.1:8080"},
		Log:      Log{Level: "info", Format: "auto"},
	}
}

// MQTTClientID returns the client id to use at the broker.
func (c *Config) MQTTClientID() string {
	if c.Broker.ClientID != "" {
		return c.Broker.ClientID
	}
	return c.Device
}

// LossTopic returns the topic of loss receipts.
func (c *Config) LossTopic() string {
	if c.Queue.LossTopic != "" {
		return c.Queue.LossTopic
	}
	return c.Device + "/fieldpost/loss"
}

// QueueFile returns the path of the queue.
func (c *Config) QueueFile() string { return filepath.Join(c.DataDir, "queue.db") }

// ControlSocket returns the path of the control socket.
func (c *Config) ControlSocket() string {
	if c.Control.Socket != "" {
		return c.Control.Socket
	}
	return filepath.Join(c.DataDir, "control.sock")
}
