//go:build !linux

package sysnet

import (
	"syscall"
	"time"
)

func unackedBytes(syscall.RawConn) (uint64, error) { return 0, ErrNoCount }

func limitUnacked(time.Duration) func(network, address string, raw syscall.RawConn) error { return nil }

func awaitAnswer(syscall.RawConn) {}
