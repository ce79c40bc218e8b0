package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/source"
)

// reloader reads the configuration again at a SIGHUP and puts in force what can be changed while the agent runs.
type reloader struct {
	path   string
	device *device
	log    zerolog.Logger
}

// run serves signals until ctx ends.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			sayReloading()
			r.reload()
			_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
		case <-ctx.Done():
			return
		}
	}
}

// hangups subscribes to the signal. It is done before the agent is made: unheard, the signal would end the process.
func hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// sayReloading tells the service manager, which wants to know since when (sd_notify(3)).
func sayReloading() {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
}

// changes are the keys that can be put in force, in groups that belong together.
func (r *reloader) changes() []change {
	d := r.device
	return []change{
		{[]string{"log.level"}, nil, func(c *config.Config) error { return d.level.configure(c.Log.Level) }},
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
			d.brokers.admit(c.Broker.Username, c.Broker.Password.Reveal())
			d.agent.Reconnect()
			return nil
		}},
		{[]string{"budget.monthly_bytes", "budget.reserve"}, []string{"budget.month_starts"}, func(c *config.Config) error {
			if was := d.usage.Limited(); d.usage.SetBudget(budgetOf(c)) != was {
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

// reload keeps what is in force when the file is bad.
func (r *reloader) reload() {
	begin := time.Now()
	next, err := config.Load(r.path, os.Environ())
	if err == nil {
		err = r.users(next)
	}
	if err != nil {
		r.log.Error().Err(err).Msg("configuration not reloaded: the old one stays in force")
		return
	}
	current := r.device.config.Load()
	differ := config.Changed(current, next)
	applied, waiting := []string{}, slices.Clone(differ)
	for _, c := range r.changes() {
		keys := slices.DeleteFunc(slices.Clone(differ), func(k string) bool { return !slices.Contains(c.keys, k) })
		if len(keys) == 0 || slices.ContainsFunc(c.with, func(k string) bool { return slices.Contains(differ, k) }) {
			continue
		}
		if err := c.apply(next); err != nil {
			r.log.Error().Err(err).Strs("keys", keys).Msg("these keys can't be put in force")
			continue
		}
		applied = append(applied, keys...)
		waiting = slices.DeleteFunc(waiting, func(k string) bool { return slices.Contains(keys, k) })
	}
	r.device.config.Store(current.With(next, applied))
	r.log.Info().Strs("changed", applied).Stringer("took", time.Since(begin).Round(time.Millisecond)).Msg("configuration reloaded")
	if len(waiting) > 0 {
		r.log.Warn().Strs("keys", waiting).Msg("these keys have changed too and need a restart of the agent")
	}
}

// users reads the file of users again, whose name need not have changed for it. Whether there is one at all needs a restart.
func (r *reloader) users(next *config.Config) error {
	file := next.Sources.MQTT.UsersFile
	if r.device.local == nil || file == "" || file != r.device.config.Load().Sources.MQTT.UsersFile {
		return nil
	}
	users, err := source.LoadUsers(file)
	if err != nil {
		return errors.Join(errors.New("sources.mqtt.users_file"), err)
	}
	r.device.local.SetUsers(users)
	return nil
}
