package device

import (
	"context"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// control is the socket by which commands reach the agent.
func (d *Device) control(cfg *config.Config) (*control.Server, error) {
	c := control.Config{
		Path: cfg.ControlSocket(), QoS: byte(cfg.Broker.QoS), MaxPayload: int64(cfg.Limits.MaxPayload),
		Status:     func() agent.Status { return d.agent.Status() },
		Usage:      func() usage.Report { return d.usage.Report() },
		QueueStats: func() agent.QueueStatus { return agent.QueueStatusOf(d.queue) },
		Put:        func(ctx context.Context, m queue.Message) (uint64, error) { return d.agent.Accept(ctx, m) },
		Queue:      d.queue,
		Reconnect:  func() { d.agent.Reconnect() },
		Logged:     d.options.Logged,
	}
	if m, ok := d.uplink.Module(); ok {
		c.Modem = m
	}
	return control.New(c)
}

// statusPage makes the status page.
func (d *Device) statusPage(cfg *config.Config) (*web.Server, error) {
	return web.New(web.Config{
		Listen: cfg.Web.Listen, Token: cfg.Web.Token.Reveal(), Hosts: cfg.Web.Hosts, Log: d.log,
		Status: func() agent.Status { return d.agent.Status() },
		Reach:  d.options.ChartReach, PointEvery: d.options.ChartReach / chartPoints, Logged: d.options.Logged, Actions: d.pageActions(),
	})
}

// chartPoints is how many points a shorter chart than a day's is made of.
const chartPoints = 240

// pageActions are what the status page can do.
func (d *Device) pageActions() []web.Action {
	list := []web.Action{{
		Name: "reconnect", Label: "Reconnect now", Done: "The agent connects anew.",
		Run: func(context.Context) error { d.agent.Reconnect(); return nil },
	}}
	if module, ok := d.uplink.Module(); ok {
		list = append(list, web.Action{
			Name: "restart-module", Label: "Restart the module", Done: "The module was restarted.",
			Ask: "Restart the module? The connection ends and comes back, usually within a minute or two.",
			Run: func(ctx context.Context) error { return module.Restart(ctx, false, false) },
		})
	}
	return list
}

// serve adds the sources, the status page and the control socket.
func (d *Device) serve(cfg *config.Config, to *agent.Config) error {
	sink := inlet{d}
	limits := source.Limits{MaxPayload: int(cfg.Limits.MaxPayload)}
	rate := source.Rate{Messages: cfg.Limits.ClientMessages, Bytes: int(cfg.Limits.ClientBytes)}
	if listen := cfg.Sources.MQTT.Listen; listen != "" {
		users, err := usersFrom(cfg.Sources.MQTT.UsersFile)
		if err != nil {
			return err
		}
		s, err := source.NewMQTT(source.MQTTConfig{Address: listen, Sink: sink, Limits: limits, Rate: rate, Users: users,
			MaxClients: cfg.Sources.MQTT.MaxClients, QoS: byte(cfg.Broker.QoS), Forward: forwardPrefix(cfg), Log: d.log})
		if err != nil {
			return err
		}
		d.local = s
		to.Sources = append(to.Sources, agent.Source{Name: s.Name(), Run: s.Run, Status: s.Status})
	}
	if listen := cfg.Sources.HTTP.Listen; listen != "" {
		influx, err := ruleOf(cfg.Device, cfg.Sources.HTTP.InfluxTopic, cfg.Sources.HTTP.InfluxPayload)
		if err != nil {
			return err
		}
		s, err := source.NewHTTP(source.HTTPConfig{Address: listen, Sink: sink, Limits: limits, Rate: rate, Influx: influx,
			Token: cfg.Sources.HTTP.Token.Reveal(), Hosts: cfg.Sources.HTTP.Hosts, QoS: byte(cfg.Broker.QoS), Log: d.log})
		if err != nil {
			return err
		}
		d.http = s
		to.Sources = append(to.Sources, agent.Source{Name: s.Name(), Run: s.Run, Status: s.Status})
	}
	readers, err := d.readers(cfg, limits)
	if err != nil {
		return err
	}
	to.Sources = append(to.Sources, readers...)
	if cfg.Web.Listen != "" {
		page, err := d.statusPage(cfg)
		if err != nil {
			return err
		}
		d.page = page
		to.Sources = append(to.Sources, agent.Source{Name: "status page", Run: page.Run})
	}
	socket, err := d.control(cfg)
	if err != nil {
		return err
	}
	to.Sources = append(to.Sources, agent.Source{Name: "control socket", Run: socket.Run})
	return nil
}

// inlet lets sources reach the agent, which is made after them.
type inlet struct{ device *Device }

func (i inlet) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	return i.device.agent.Take(ctx, msgs...)
}

func (i inlet) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	return i.device.agent.TakeAt(ctx, c, msgs...)
}

func (i inlet) Cursor(name string) ([]byte, error) { return i.device.agent.Cursor(name) }

// usersFrom reads the users of the local MQTT listener; no file means no login.
func usersFrom(file string) (*source.Users, error) {
	if file == "" {
		return nil, nil
	}
	users, err := source.LoadUsers(file)
	if err != nil {
		return nil, &config.Unusable{Key: "sources.mqtt.users_file", Err: err}
	}
	return users, nil
}
