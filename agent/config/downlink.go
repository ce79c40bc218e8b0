package config

import (
	"fmt"
	"strings"
	"time"
)

// Downlink says which commands are taken from the broker.
type Downlink struct {
	Enabled     bool     `yaml:"enabled"`
	Topic       string   `yaml:"topic"`        // commands come on TOPIC/NAME; "": DEVICE/cmd
	AnswerTopic string   `yaml:"answer_topic"` // "": DEVICE/answer
	Allow       List     `yaml:"allow"`        // names of commands
	Prefix      string   `yaml:"prefix"`       // local topics of commands for local software: PREFIX/NAME
	MaxBytes    Size     `yaml:"max_bytes"`    // of a command
	Rate        int      `yaml:"rate"`         // commands a minute
	MaxAge      Duration `yaml:"max_age"`      // of a command that says when it was sent
}

// Presence says where the device shows whether it is there.
type Presence struct {
	Topic string `yaml:"topic"` // "": DEVICE/status; PresenceOff
}

// PresenceOff as Presence.Topic turns presence off.
const PresenceOff = "off"

// DownlinkCommands are the commands that the agent carries out itself; any other name is that of a command for local software,
// as a group called DownlinkForward.
func DownlinkCommands() []string {
	return []string{"status", "config-get", "reconnect", "restart-module", "flush", "set-log-level", "resend"}
}

// DownlinkForward in Downlink.Allow stands for all commands for local software.
const DownlinkForward = "forward"

// CommandTopic returns the topic below which commands come.
func (c *Config) CommandTopic() string { return c.topicOr(c.Downlink.Topic, "cmd") }

// AnswerTopic returns the topic of answers to commands.
func (c *Config) AnswerTopic() string { return c.topicOr(c.Downlink.AnswerTopic, "answer") }

// PresenceTopic returns the topic of the device's presence, "" if it is off.
func (c *Config) PresenceTopic() string {
	if c.Presence.Topic == PresenceOff {
		return ""
	}
	return c.topicOr(c.Presence.Topic, "status")
}

func (c *Config) topicOr(topic, level string) string {
	if topic != "" {
		return topic
	}
	return c.Device + "/" + level
}

const (
	// What is remembered of commands shares 4 KiB of the queue's file with the command at work.
	minCommand = 64
	maxCommand = 2800
	maxRate    = 600 // each costs three commits of the flash, and an answer on the air
)

func (c *Config) checkDownlink(k *checker) {
	d := c.Downlink
	k.topic("downlink.topic", d.Topic)
	k.topic("downlink.answer_topic", d.AnswerTopic)
	k.topic("downlink.prefix", d.Prefix)
	if strings.HasPrefix(d.Prefix, "$") {
		k.fail("downlink.prefix", "", "%q begins with $, which is reserved for brokers", d.Prefix)
	}
	between(k, "downlink.max_bytes", d.MaxBytes, minCommand, maxCommand)
	between(k, "downlink.rate", d.Rate, 1, maxRate)
	between(k, "downlink.max_age", d.MaxAge, Duration(time.Minute), Duration(30*24*time.Hour))
	for _, name := range d.Allow {
		c.checkCommand(k, name)
	}
	if d.Enabled && len(d.Allow) == 0 {
		k.fail("downlink.allow", "name those that are wanted, such as [status, flush]", "is empty: no command would be carried out")
	}
	if d.Enabled && (c.AnswerTopic() == c.CommandTopic() || strings.HasPrefix(c.AnswerTopic(), c.CommandTopic()+"/")) {
		k.fail("downlink.answer_topic", "choose a topic beside downlink.topic, not below it", "%q would be taken for a command", c.AnswerTopic())
	}
	if c.Presence.Topic != PresenceOff {
		k.topic("presence.topic", c.Presence.Topic)
	}
}

// checkCommand checks one name of downlink.allow. A name that is nearly one of ours is a mistake, not local software's.
func (c *Config) checkCommand(k *checker, name string) {
	own := append(DownlinkCommands(), DownlinkForward)
	for _, o := range own {
		if name == o {
			return
		}
	}
	if near := nearest(name, own); near != "" {
		k.fail("downlink.allow", fmt.Sprintf("did you mean %q?", near), "%q is no command of the agent", name)
		return
	}
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		k.fail("downlink.allow", "", "%.40q is not the name of a command: use a to z, 0 to 9, '-' and '_'", name)
		return
	}
	if c.Downlink.Prefix == "" || c.Sources.MQTT.Listen == "" {
		k.fail("downlink.allow", "known here: "+strings.Join(own, ", "),
			"%q is for local software, which needs downlink.prefix and sources.mqtt.listen", name)
	}
}
