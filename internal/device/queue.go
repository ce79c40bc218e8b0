package device

import (
	"context"
	"os"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/queue"
)

// QueueConfig translates a configuration.
func QueueConfig(cfg *config.Config) queue.Config {
	c := queue.Config{
		Path: cfg.QueueFile(), MaxBytes: int64(cfg.Queue.MaxBytes), MaxAge: time.Duration(cfg.Queue.MaxAge),
		CommitWait: time.Duration(cfg.Queue.CommitWait), ReleaseWait: time.Duration(cfg.Queue.ReleaseWait),
		HistoryShare: cfg.Queue.HistoryShare, KeepReleased: int64(cfg.Queue.KeepReleased), LossTopic: cfg.LossTopic(),
	}
	if cfg.Queue.Full == config.FullRefuse {
		c.Full = queue.Refuse
	}
	if cfg.Queue.Drain == config.DrainLiveFirst {
		c.Drain = queue.LiveFirst
	}
	return c
}

// openQueue opens the queue for the agent, and says what it does about a file that was not closed, or is damaged.
func openQueue(cfg *config.Config, o Options) (*queue.Queue, error) {
	c, log := QueueConfig(cfg), o.Log
	c.Boot, c.SinceBoot = o.Machine.Boot, o.Machine.Since
	check := o.Verify
	if check == nil {
		check = func(_ context.Context, path string) error { return queue.CheckFile(path) }
	}
	c.Verify = func(ctx context.Context, path string) error {
		var size int64
		if info, err := os.Stat(path); err == nil {
			size = info.Size()
		}
		log.Info().Str("file", path).Int64("bytes", size).Msg("the last stop was unclean: checking the queue's file")
		begin := time.Now()
		err := check(ctx, path)
		log.Info().Bool("whole", err == nil).Dur("took_ms", time.Since(begin)).Msg("the queue's file is checked")
		return err
	}
	q, err := queue.Open(c)
	if err != nil {
		return nil, err
	}
	if r := q.Recovery(); r != nil {
		log.Error().Err(r.Damage).Str("set_aside", r.SetAside).Int("saved", r.Saved).Int("lost", r.Lost).Int("unsure", r.Unsure).Bool("more", r.More).
			Msg("the queue's file was damaged; a new one was made from what could be read")
		if err := q.RecoveryTold(context.Background()); err != nil { // the next start tells it again
			log.Warn().Err(err).Msg("that can't be noted as told")
		}
	}
	return q, nil
}
