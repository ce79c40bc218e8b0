package device

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/source"
)

// changes are the keys that can be put in force, in groups that belong together.
func (d *Device) changes() []change {
	return []change{
		{[]string{"log.level"}, nil, func(c *config.Config) error { return d.options.Level.Configure(c.Log.Level) }},
		{[]string{"sources.http.token", "sources.http.token_file", "sources.http.hosts"}, []string{"sources.http.listen"}, func(c *config.Config) error {
			if d.http != nil {
				d.http.Admit(c.Sources.HTTP.Token.Reveal(), c.Sources.HTTP.Hosts)
			}
			return nil
		}},
		{[]string{"web.token", "web.token_file", "web.hosts"}, []string{"web.listen"}, func(c *config.Config) error {
			if d.page != nil {
				d.page.Admit(c.Web.Token.Reveal(), c.Web.Hosts)
			}
			return nil
		}},
		{[]string{"broker.username", "broker.password", "broker.password_file"}, []string{"broker.url"}, func(c *config.Config) error {
			d.uplink.Admit(c.Broker.Username, c.Broker.Password.Reveal())
			d.agent.Reconnect()
			return nil
		}},
		{[]string{"budget.monthly_bytes", "budget.reserve"}, []string{"budget.month_starts"}, func(c *config.Config) error {
			if was := d.usage.Limited(); d.usage.SetBudget(Budget(c)) != was {
				d.agent.Reconnect() // a session asks or doesn't, from its beginning
			}
			return nil
		}},
		{[]string{"downlink.allow", "downlink.max_bytes", "downlink.rate", "downlink.max_age"}, nil, func(c *config.Config) error {
			if d.commands != nil {
				d.commands.Configure(downlinkSettings(c))
			}
			return nil
		}},
	}
}

// change is how some keys are put in force.
type change struct {
	keys []string
	// with are keys that need a restart and without whose new values these must not count: a listener that is about to be
	// closed to the network needs no token any more, but does until then, and a password is for its broker only.
	with  []string
	apply func(*config.Config) error
}

// Reload reads the configuration again and puts in force what can be changed while the agent runs. What needs a restart is named in the
// log, and a bad file changes nothing.
func (d *Device) Reload(path string) {
	begin := time.Now()
	next, err := config.Load(path, os.Environ())
	if err == nil {
		err = d.reloadUsers(next)
	}
	if err != nil {
		d.log.Error().Err(err).Msg("configuration not reloaded: the old one stays in force")
		return
	}
	current := d.config.Load()
	differ := config.Changed(current, next)
	applied, waiting := []string{}, slices.Clone(differ)
	for _, c := range d.changes() {
		keys := slices.DeleteFunc(slices.Clone(differ), func(k string) bool { return !slices.Contains(c.keys, k) })
		if len(keys) == 0 || slices.ContainsFunc(c.with, func(k string) bool { return slices.Contains(differ, k) }) {
			continue
		}
		if err := c.apply(next); err != nil {
			d.log.Error().Err(err).Strs("keys", keys).Msg("these keys can't be put in force")
			continue
		}
		applied = append(applied, keys...)
		waiting = slices.DeleteFunc(waiting, func(k string) bool { return slices.Contains(keys, k) })
	}
	d.config.Store(current.With(next, applied))
	d.log.Info().Strs("changed", applied).Stringer("took", time.Since(begin).Round(time.Millisecond)).Msg("configuration reloaded")
	if len(waiting) > 0 {
		d.log.Warn().Strs("keys", waiting).Msg("these keys have changed too and need a restart of the agent")
	}
}

// reloadUsers reads the file of users again, whose name need not have changed for it. Whether there is one at all needs a restart.
func (d *Device) reloadUsers(next *config.Config) error {
	file := next.Sources.MQTT.UsersFile
	if d.local == nil || file == "" || file != d.config.Load().Sources.MQTT.UsersFile {
		return nil
	}
	users, err := source.LoadUsers(file)
	if err != nil {
		return errors.Join(errors.New("sources.mqtt.users_file"), err)
	}
	d.local.SetUsers(users)
	return nil
}
