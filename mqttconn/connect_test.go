package mqttconn_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestConnectRefused(t *testing.T) {
	tests := []struct {
		name  string
		reply []byte
		cause mqttconn.Cause
		words []string
	}{
		{"protocol version", connackBytes(false, 1), mqttconn.CauseProtocol, []string{"MQTT 3.1.1"}},
		{"identifier", connackBytes(false, 2), mqttconn.CauseIdentifier, []string{"broker.example:1883", "client id"}},
		{"unavailable", connackBytes(false, 3), mqttconn.CauseUnavailable, []string{"unavailable"}},
		{"password", connackBytes(false, 4), mqttconn.CauseCredentials, []string{"broker.example:1883", "wrong user name or password", "check"}},
		{"authorisation", connackBytes(false, 5), mqttconn.CauseCredentials, []string{"not authorised", "check"}},
		{"unknown code", connackBytes(false, 135), mqttconn.CauseProtocol, []string{"CONNACK 135"}},
		{"not MQTT", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), mqttconn.CauseProtocol, []string{"check that the address"}},
		{"another packet first", []byte{packets.Pingresp << 4, 0}, mqttconn.CauseProtocol, []string{"before CONNACK"}},
		{"bad CONNACK", []byte{packets.Connack << 4, 3, 0, 0, 0}, mqttconn.CauseProtocol, []string{"malformed"}},
		{"nothing", []byte{}, mqttconn.CauseTimeout, []string{"no CONNACK", "5m0s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: func(packet) []byte { return tt.reply }}
				s, err := mqttconn.Connect(t.Context(), b.dial, mqttconn.Config{ClientID: "pump-07"})
				if err == nil {
					s.Close(t.Context())
					t.Fatal("connected")
				}
				wantError(t, err, tt.cause, tt.words...)
				if b.dials != 1 {
					t.Errorf("dialled %d times, want once", b.dials)
				}
				b.group.Wait() // the connection was closed
			})
		})
	}
}

func TestConnectDialFails(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		cause mqttconn.Cause
		words []string
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
			mqttconn.CauseRefused, []string{"connection refused", "host and port"}},
		{"name", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "brocker.example"}},
			mqttconn.CauseDNS, []string{"brocker.example", "host name"}},
		{"other", errors.New("the module is on fire"), mqttconn.CauseNetwork, []string{"the module is on fire"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dial := func(context.Context) (mqttconn.Conn, error) { return nil, tt.err }
			_, err := mqttconn.Connect(t.Context(), dial, mqttconn.Config{ClientID: "pump-07"})
			wantError(t, err, tt.cause, tt.words...)
			if !errors.Is(err, tt.err) {
				t.Errorf("the dial function's error is hidden: %v", err)
			}
		})
	}
}

func TestConnectTimeoutCoversTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		dial := func(ctx context.Context) (mqttconn.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		_, err := mqttconn.Connect(t.Context(), dial, mqttconn.Config{ClientID: "pump-07", ConnectTimeout: time.Minute})
		wantError(t, err, mqttconn.CauseTimeout)
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("gave up after %v, want 1m", got)
		}
	})
}

func TestSlowDialLeavesTimeForTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		connect(t, func(ctx context.Context) (mqttconn.Conn, error) {
			time.Sleep(4 * time.Minute) // attaching to the network, DNS, TCP
			return b.dial(ctx)
		}, mqttconn.Config{ClientID: "pump-07"})
	})
}

func TestConnectAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: func(packet) []byte { return []byte{} }}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		begin := time.Now()
		_, err := mqttconn.Connect(ctx, b.dial, mqttconn.Config{ClientID: "pump-07"})
		wantError(t, err, mqttconn.CauseCanceled)
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("returned after %v, want at once when abandoned", got)
		}
		b.group.Wait() // the connection was closed
	})
}

func TestConnectPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		connect(t, b.dial, mqttconn.Config{
			ClientID: "pump-07", Username: "pump", Password: "secret", KeepAlive: 5 * time.Minute,
			Will: &mqttconn.Will{Topic: "site/pump/status", Payload: []byte("gone"), QoS: 1, Retain: true},
		})
		p := got[*packets.ConnectPacket](b)[0]
		want := &packets.ConnectPacket{
			FixedHeader:  p.FixedHeader,
			ProtocolName: "MQTT", ProtocolVersion: 4, CleanSession: false, Keepalive: 300, ClientIdentifier: "pump-07",
			UsernameFlag: true, Username: "pump", PasswordFlag: true, Password: []byte("secret"),
			WillFlag: true, WillTopic: "site/pump/status", WillMessage: []byte("gone"), WillQos: 1, WillRetain: true,
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("CONNECT (-want +got):\n%s", diff)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	tests := []struct {
		name  string
		cfg   mqttconn.Config
		words string
	}{
		{"no client id", mqttconn.Config{}, "ClientID"},
		{"NUL in client id", mqttconn.Config{ClientID: "a\x00b"}, "ClientID"},
		{"password alone", mqttconn.Config{ClientID: "a", Password: "x"}, "Username"},
		{"keepalive too short", mqttconn.Config{ClientID: "a", KeepAlive: 29 * time.Second}, "KeepAlive"},
		{"keepalive too long", mqttconn.Config{ClientID: "a", KeepAlive: 2 * time.Hour}, "KeepAlive"},
		{"keepalive in fractions", mqttconn.Config{ClientID: "a", KeepAlive: 90*time.Second + 1}, "whole seconds"},
		{"negative timeout", mqttconn.Config{ClientID: "a", PingTimeout: -1}, "negative"},
		{"negative window", mqttconn.Config{ClientID: "a", WindowBytes: -1}, "negative"},
		{"unknown release", mqttconn.Config{ClientID: "a", Release: 9}, "Release"},
		{"wildcard in will", mqttconn.Config{ClientID: "a", Will: &mqttconn.Will{Topic: "a/#"}}, "Will.Topic"},
		{"will with QoS 3", mqttconn.Config{ClientID: "a", Will: &mqttconn.Will{Topic: "a", QoS: 3}}, "Will"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, tt.cfg.Validate(), mqttconn.CauseConfig, tt.words)
		})
	}
	if err := (mqttconn.Config{ClientID: "a"}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
