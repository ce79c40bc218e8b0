package uplink

import (
	"context"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// systemLink is the way to the broker over the machine's own network.
type systemLink struct {
	*mqttLink
	dialer sysnet.Dialer
}

func (l *systemLink) Steps() []agent.Step { return l.steps() }

func (l *systemLink) Connect(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error) {
	return l.connect(ctx, "", resume, report, func(ctx context.Context, address string) (mqttconn.Conn, error) {
		conn, err := l.dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return conn, nil
	})
}

func (l *systemLink) Status() *agent.ModemStatus  { return nil }
func (l *systemLink) Close(context.Context) error { return nil }
