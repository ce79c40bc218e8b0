package device_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/queue"
)

// elsewhere begins topics that the world's own receiver, which wants numbers below site/, doesn't look at.
const elsewhere = "farm"

// stationReadings are the sample readings of the repository, as messages.
func stationReadings(t *testing.T) (list []queue.Message) {
	t.Helper()
	f, err := os.Open("../../agent/envelope/testdata/readings.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Topic   string `json:"topic"`
			Payload string `json:"payload_text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, queue.Message{Topic: elsewhere + strings.TrimPrefix(r.Topic, "site"), QoS: 1, Payload: []byte(r.Payload)})
	}
	return list
}

// randomReadings are messages of 137 bytes each as PUBLISH, in which nothing repeats but the topic: of random bytes, or of
// random hexadecimal digits.
func randomReadings(digits bool) (list []queue.Message) {
	random := rand.NewChaCha8([32]byte{7})
	for range 500 {
		payload := make([]byte, 100)
		_, _ = random.Read(payload)
		if digits {
			payload = hex.AppendEncode(nil, payload[:50])
		}
		list = append(list, queue.Message{Topic: elsewhere + "/" + strings.Repeat("t", 25), QoS: 1, Payload: payload})
	}
	return list
}

// TestEncodingOnTheAir drains readings in each form through the simulated module, and counts what it puts on the air for
// each: IP packets with headers, both ways.
func TestEncodingOnTheAir(t *testing.T) {
	type form = func(*config.Config)
	batch := func(messages int, compress string) form {
		return func(c *config.Config) {
			c.Encoding.Format, c.Encoding.Compress, c.Encoding.Batch.MaxMessages = config.FormatBatch, compress, messages
		}
	}
	station, noise, digits := stationReadings(t), randomReadings(false), randomReadings(true)
	plain := map[string]float64{}
	for _, tc := range []struct {
		name     string
		of       string
		readings []queue.Message
		form     form
		want     float64 // of the same readings plain
	}{
		{"Station/plain", "station", station, func(*config.Config) {}, 1},
		{"Station/batch", "station", station, batch(50, config.CompressNone), 0.80},
		{"Station/batch+deflate", "station", station, batch(50, config.CompressDeflate), 0.25},
		{"Random137/plain", "137", noise, func(*config.Config) {}, 1},
		{"Random137/ten", "137", noise, batch(10, config.CompressNone), 0.80},
		{"Digits137/ten+deflate", "137", digits, batch(10, config.CompressDeflate), 0.55},
	} {
		got := airBytes(t, tc.readings, tc.form)
		if tc.want == 1 {
			plain[tc.of] = got
		}
		ratio := got / plain[tc.of]
		t.Logf("%s: %.1f bytes on the air a reading, %.2f of plain", tc.name, got, ratio)
		figure("Encoding/"+tc.name, got, "air:B/reading", ratio, "vs_plain:")
		if ratio > tc.want {
			t.Errorf("%s takes %.1f bytes a reading, %.2f of %.1f plain, want at most %.2f", tc.name, got, ratio, plain[tc.of], tc.want)
		}
	}
}

// airBytes is what each of the readings costs on the air, in a backlog, once the connection stands.
func airBytes(t *testing.T, readings []queue.Message, form func(*config.Config)) (each float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, form)
		for !w.device.Agent().Status().Link.Connected {
			time.Sleep(time.Second)
		}
		before := w.module.Stats()
		if _, err := w.device.Agent().Accept(t.Context(), readings...); err != nil {
			t.Fatal(err)
		}
		w.drained(10 * time.Minute)
		after := w.module.Stats()
		each = float64(after.AirUp-before.AirUp+after.AirDown-before.AirDown) / float64(len(readings))
		w.stop()
	})
	return each
}
