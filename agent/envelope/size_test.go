package envelope_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// stationReadings are two hours of a pump station, a weather station, a cold room and a meter, all made up.
func stationReadings(t testing.TB) []envelope.Reading {
	t.Helper()
	f, err := os.Open("testdata/readings.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []envelope.Reading
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Time    time.Time `json:"time"`
			Topic   string    `json:"topic"`
			Payload string    `json:"payload_text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, envelope.Reading{Topic: r.Topic, Seq: 90_000 + uint64(len(list)), Time: r.Time, Quality: envelope.QualityKnown, Payload: []byte(r.Payload)})
	}
	if len(list) < 400 {
		t.Fatalf("only %d sample readings", len(list))
	}
	return list
}

// figure prints a measurement in the form of a Go benchmark, for scripts/bench, when that asks for it.
func figure(name string, value float64, unit string) {
	if os.Getenv("FIELDPOST_FIGURES") != "" {
		fmt.Printf("Benchmark%s 1 %.4g %s\n", name, value, unit)
	}
}

// TestSizeOfSampleReadings measures what a reading costs in each form: the bytes of its PUBLISH at QoS 1 (MQTT 3.1.1,
// section 3.3), shared by those that are in it.
func TestSizeOfSampleReadings(t *testing.T) {
	readings := stationReadings(t)
	var plain int
	for _, r := range readings {
		plain += publish(r.Topic, r.Payload)
	}
	own := float64(plain) / float64(len(readings))
	t.Logf("plain: %.1f bytes a reading", own)
	figure("Sample/plain", own, "publish:B/reading")
	for _, tc := range []struct {
		name       string
		size       int
		dictionary *envelope.Dictionary
		most       float64 // of plain
	}{
		{"envelope", 0, nil, 1.4}, {"envelope+deflate", 0, envelope.Builtin(), 1.05},
		{"batch10", 10, nil, 1.0}, {"batch10+deflate", 10, envelope.Builtin(), 0.45},
		{"batch50", 50, nil, 0.85}, {"batch50+deflate", 50, envelope.Builtin(), 0.25},
	} {
		encoder := envelope.NewEncoder(tc.dictionary)
		total := 0
		for part := range slices.Chunk(readings, max(tc.size, 1)) {
			m, topic := envelope.Message{Device: "pump-07", Epoch: epoch, Batch: tc.size > 0, Readings: part}, "pump-07/batch"
			if !m.Batch {
				topic, m.Readings = part[0].Topic, []envelope.Reading{part[0]}
				m.Readings[0].Topic = ""
			}
			b, err := encoder.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			total += publish(topic, b)
		}
		got := float64(total) / float64(len(readings))
		t.Logf("%s: %.1f bytes a reading, %.2f of plain", tc.name, got, got/own)
		figure("Sample/"+tc.name, got, "publish:B/reading")
		if got > tc.most*own {
			t.Errorf("%s takes %.1f bytes a reading, %.2f of %.1f plain, want at most %.2f", tc.name, got, got/own, own, tc.most)
		}
	}
}

// publish is the length of a PUBLISH packet.
func publish(topic string, payload []byte) int {
	rest := 2 + len(topic) + 2 + len(payload)
	length := 1
	for n := rest; n > 127; n >>= 7 {
		length++
	}
	return 1 + length + rest
}
