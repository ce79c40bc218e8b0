package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/internal/device"
	"github.com/fieldpost/fieldpost/queue"
)

func newSend() *cobra.Command {
	var path, lane string
	var qos int
	var retain bool
	cmd := &cobra.Command{
		Use:   "send TOPIC PAYLOAD",
		Short: "Put one message into the queue",
		Long: `Puts one message into the queue, through the running agent or into the file of a stopped one, and returns when it is
on disk. A PAYLOAD of - is read from standard input.`,
		Args: cobra.ExactArgs(2),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			m := queue.Message{Topic: args[0], Payload: []byte(args[1]), QoS: byte(cfg.Broker.QoS), Retain: retain, Source: "send"}
			if args[1] == "-" {
				// One byte more than allowed, so that a longer one is refused and not cut.
				if m.Payload, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), int64(cfg.Limits.MaxPayload)+1)); err != nil {
					return fmt.Errorf("standard input: %w", err)
				}
			}
			if cmd.Flags().Changed("qos") {
				if qos < 0 || qos > 2 {
					return &exitError{exitUsage, fmt.Errorf("--qos %d: it is 0, 1 or 2", qos)}
				}
				m.QoS = byte(qos)
			}
			if lane != "" {
				if m.Lane, err = queue.ParseLane(lane); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			if err := device.Check(cfg)(m); err != nil {
				return &exitError{exitUsage, err}
			}
			seq, err := send(cmd.Context(), cfg, m)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "stored as message %d\n", seq)
			return nil
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&lane, "lane", "", "alarm, normal or bulk (default: normal)")
	cmd.Flags().IntVar(&qos, "qos", 0, "0, 1 or 2 (default: broker.qos)")
	cmd.Flags().BoolVar(&retain, "retain", false, "let the broker keep it as the topic's last value")
	return cmd
}

// send stores m through the running agent or, when none runs, in the queue's file.
func send(ctx context.Context, cfg *config.Config, m queue.Message) (seq uint64, err error) {
	err = beside(ctx, setup{Config: cfg}, func(ctx context.Context, c *control.Client) error {
		seq, err = c.Send(ctx, m.Topic, m.Payload, control.SendOptions{QoS: &m.QoS, Retain: m.Retain, Lane: m.Lane})
		return err
	}, func(ctx context.Context) error {
		q, err := openQueue(cfg)
		if err != nil {
			return startError(err)
		}
		seq, err = q.Put(ctx, m)
		return storeError(errors.Join(err, q.Close()))
	})
	return seq, err
}
