package uplink

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
)

// warnAhead is how long before its end the own certificate is spoken of: time for somebody to travel.
const warnAhead = 30 * 24 * time.Hour

// ownCertificate is the certificate that is shown to the broker.
type ownCertificate struct {
	file  string
	until time.Time
	now   func() time.Time // the present as far as it is known
}

// warning says that the certificate expires soon, or has; "" while there is time.
func (c *ownCertificate) warning() string {
	left := c.until.Sub(c.now())
	day := c.until.UTC().Format(time.DateOnly)
	switch {
	case left <= 0:
		return fmt.Sprintf("the own one has expired on %s: put a new one into %s and start again", day, c.file)
	case left <= warnAhead:
		return fmt.Sprintf("the own one expires on %s, in %s: put a new one into %s and start again", day, agent.Span(left), c.file)
	}
	return ""
}

// source warns in the log, at once and every day.
func (c *ownCertificate) source(log zerolog.Logger) agent.Source {
	return agent.Source{Name: "certificate", Run: func(ctx context.Context) error {
		daily := time.NewTicker(24 * time.Hour)
		defer daily.Stop()
		for {
			if text := c.warning(); text != "" {
				log.Warn().Str("file", c.file).Time("until", c.until).Msg("certificate: " + text)
			}
			select {
			case <-daily.C:
			case <-ctx.Done():
				return nil
			}
		}
	}}
}
