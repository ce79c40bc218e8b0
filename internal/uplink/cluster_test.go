package uplink

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// TestSessionOfCluster goes on with a QoS 2 message at another node than the one that it was sent to. Two addresses of one
// broker stand for two nodes that share their sessions.
func TestSessionOfCluster(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(startBroker(t).addr)
	if err != nil {
		t.Fatal(err)
	}
	one, other := "127.0.0.1:"+port, "localhost:"+port
	for _, tt := range []struct {
		name          string
		before, after []string // the cluster, as configured before and after the message was sent
		want          int      // flights resumed
	}{
		{"cluster", []string{one, other}, []string{one, other}, 1},
		{"made a cluster meanwhile", nil, []string{one, other}, 1},
		{"two brokers", nil, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db")})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			path := filepath.Join(t.TempDir(), "sessions")
			connect := func(cluster []string, address string, flights []queue.Flight) *mqttconn.Session {
				t.Helper()
				cfg := mqttconn.Config{ClientID: "pump-07", Journal: journal{q}}
				for _, f := range flights {
					cfg.Resume = append(cfg.Resume, mqttconn.Resume{Flight: mqttconn.Flight(f)})
				}
				book := sessionBook{path: path, queue: q, cluster: cluster}
				s, err := book.connect(t.Context(), dialer(address), cfg, book.broker(address))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}

			if err := connect(tt.before, other, nil).Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			leaveOpen(t, other, "pump-07") // packet id 1
			seq, err := q.Put(t.Context(), queue.Message{Topic: "site/old", QoS: 2, Payload: []byte(`{"n":1}`)})
			if err != nil {
				t.Fatal(err)
			}
			flight := queue.Flight{Seq: seq, PacketID: 1, Received: true}
			if err := q.SaveFlight(t.Context(), flight, true); err != nil {
				t.Fatal(err)
			}
			s := connect(tt.after, one, []queue.Flight{flight})
			defer s.Close(t.Context())
			if got := len(s.Resumed()); got != tt.want {
				t.Errorf("got %d flights resumed, want %d", got, tt.want)
			}
			for _, r := range s.Resumed() {
				<-r.Done()
				if err := r.Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func dialer(address string) mqttconn.DialFunc {
	return func(ctx context.Context) (mqttconn.Conn, error) {
		var d sysnet.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}
