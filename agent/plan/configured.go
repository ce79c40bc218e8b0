package plan

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/keepalive"
)

// Configured takes from a configuration what matters to a
func Configured(cfg *config.Config, flows []Flow) Input {
	in := Input{
		Flows: flows, QoS: cfg.Broker.QoS, TLS: cfg.Broker.Endpoints()[0].TLS, Keepalive: time.Duration(cfg.Broker.Keepalive),
		QueueBytes: int64(cfg.Queue.MaxBytes), QueueAge: time.Duration(cfg.Queue.MaxAge), CommitWait: time.Duration(cfg.Queue.CommitWait),
	}
	if in.Keepalive == 0 {
		in.Keepalive = min(keepalive.DefaultStart, time.Duration(cfg.Broker.KeepaliveMax))
	}
	if cfg.Encoding.Format == config.FormatBatch {
		b := cfg.Encoding.Batch
		in.BatchMessages, in.BatchBytes, in.BatchAge = b.MaxMessages, int(b.MaxBytes), time.Duration(b.MaxAge)
	}
	return in
}
