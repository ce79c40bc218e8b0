package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	epoch = [8]byte{0xe0, 1, 2, 3, 4, 5, 6, 7}
)

func Example() {
	encoder := envelope.NewEncoder(envelope.Builtin())
	b, err := encoder.Encode(envelope.Message{
		Device: "pump-07", Epoch: epoch, Batch: true,
		Readings: []envelope.Reading{
			{Topic: "site/pump-07/pressure", Seq: 41, Time: noon, Quality: envelope.QualityKnown, Payload: []byte(`{"value":4.2,"unit":"bar"}`)},
			{Topic: "site/pump-07/pressure", Seq: 42, Time: noon.Add(time.Minute), Quality: envelope.QualityKnown, Payload: []byte(`{"value":4.3,"unit":"bar"}`)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := envelope.NewDecoder().Decode(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range m.Lines("") {
		fmt.Println(l.ID, l.Time.Format(time.RFC3339), *l.Topic, *l.Text)
	}
	// Output:
	// e001020304050607-41 2026-11-22T12:00:00Z site/pump-07/pressure {"value":4.2,"unit":"bar"}
	// e001020304050607-42 2026-11-22T12:01:00Z site/pump-07/pressure {"value":4.3,"unit":"bar"}
}

// samples are messages of every kind.
func samples() map[string]envelope.Message {
	reading := func(seq uint64, topic, payload string, at time.Duration, q envelope.Quality) envelope.Reading {
		return envelope.Reading{Topic: topic, Seq: seq, Time: noon.Add(at), Quality: q, Payload: []byte(payload)}
	}
	batch := func(r ...envelope.Reading) envelope.Message {
		return envelope.Message{Device: "pump-07", Epoch: epoch, Batch: true, Readings: r}
	}
	single := func(r envelope.Reading) envelope.Message {
		return envelope.Message{Device: "pump-07", Epoch: epoch, Readings: []envelope.Reading{r}}
	}
	return map[string]envelope.Message{
		"single":         single(reading(7, "", "4.2", 0, envelope.QualityKnown)),
		"single-empty":   single(reading(0, "", "", 0, envelope.QualityUnknown)),
		"single-binary":  single(reading(1<<40, "", "\x00\xff\xfb", -56*365*24*time.Hour, envelope.QualityGuessed)),
		"batch-of-one":   batch(reading(7, "site/pump-07/pressure", "4.2", 0, envelope.QualityKnown)),
		"batch-regular":  batch(reading(1, "a", "11", 0, 2), reading(2, "a", "12", time.Second, 2), reading(3, "a", "13", 2*time.Second, 2)),
		"batch-backward": batch(reading(1, "a", "11", 0, 0), reading(2, "a", "12", -time.Hour, 1), reading(3, "a", "13", time.Millisecond, 2)),
		"batch-mixed": batch(
			reading(100, "site/pump-07/pressure", `{"value":4.2,"unit":"bar"}`, 0, 2),
			reading(101, "site/pump-07/flow", `{"value":31.2,"unit":"m3/h"}`, 3*time.Millisecond, 2),
			reading(105, "site/pump-07/pressure", `{"value":4.3,"unit":"bar"}`, time.Minute, 2),
			reading(400, "", "", time.Minute, 0),
			reading(401, "site/größe", strings.Repeat("long ", 100), time.Minute, 1)),
		"nameless": {Readings: []envelope.Reading{reading(7, "", "4.2", 0, 2)}},
	}
}

func TestRoundTrip(t *testing.T) {
	for name, m := range samples() {
		for _, d := range []*envelope.Dictionary{nil, envelope.Builtin()} {
			b, err := envelope.NewEncoder(d).Encode(m)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got, err := envelope.NewDecoder().Decode(b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if compressed := b[1]&1 != 0; compressed != (got.Dictionary != nil) || d == nil && compressed {
				t.Errorf("%s: the flag for compression is %v, Dictionary is %v", name, compressed, got.Dictionary)
			}
			got.Dictionary = nil
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestRegularReadingsCostOneByteBesidePayload(t *testing.T) {
	var sizes []int
	for _, n := range []int{20, 120} {
		m := envelope.Message{Device: "pump-07", Epoch: epoch, Batch: true}
		for i := range n {
			m.Readings = append(m.Readings, envelope.Reading{Topic: "a", Seq: uint64(i), Time: noon.Add(time.Duration(i) * time.Minute), Quality: 2, Payload: []byte("1234")})
		}
		b, err := envelope.NewEncoder(nil).Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(b))
	}
	if got, want := sizes[1]-sizes[0], 100*(4+1); got != want {
		t.Errorf("100 more readings of 4 bytes take %d bytes, want %d", got, want)
	}
}

func TestAnEncoderCanBeUsedAgain(t *testing.T) {
	encoder := envelope.NewEncoder(envelope.Builtin())
	m := samples()["batch-mixed"]
	first, err := encoder.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	keep := slices.Clone(first)
	if _, err := encoder.Encode(samples()["batch-regular"]); err != nil {
		t.Fatal(err)
	}
	again, err := encoder.Encode(m)
	if err != nil || !bytes.Equal(keep, again) {
		t.Errorf("the same message gives %x, then %x (%v)", keep, again, err)
	}
	if !bytes.Equal(keep, first) {
		t.Error("what Encode had returned was changed by the next Encode")
	}
}

// A module that loses power in the middle of a send leaves a message of the right length, of which the rest is filler.
func TestCutAndFilledMessagesAreRefused(t *testing.T) {
	decoder := envelope.NewDecoder()
	random := rand.New(rand.NewPCG(1, 2))
	for name, m := range samples() {
		for _, d := range []*envelope.Dictionary{nil, envelope.Builtin()} {
			whole, err := envelope.NewEncoder(d).Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			for cut := 1; cut < len(whole); cut += 1 + len(whole)/100 {
				noise := make([]byte, len(whole)-cut)
				for i := range noise {
					noise[i] = byte(random.Uint32())
				}
				n := len(whole) - cut
				for what, filler := range map[string][]byte{
					"nothing": {}, "zeros": make([]byte, n), "ones": bytes.Repeat([]byte{0xff}, n), "spaces": bytes.Repeat([]byte(" "), n),
					"Ctrl-Z": bytes.Repeat([]byte{0x1a}, n), "noise": noise, "its own beginning": bytes.Repeat(whole, 2)[:n],
				} {
					b := slices.Concat(whole[:cut], filler)
					if bytes.Equal(b, whole) {
						continue
					}
					if got, err := decoder.Decode(b); !errors.Is(err, envelope.ErrDamaged) && !errors.Is(err, envelope.ErrVersion) {
						t.Fatalf("%s, cut at %d of %d, filled with %s: got %+v, %v", name, cut, len(whole), what, got, err)
					}
				}
			}
		}
	}
}

func TestEveryChangedBitIsNoticed(t *testing.T) {
	whole, err := envelope.NewEncoder(envelope.Builtin()).Encode(samples()["batch-mixed"])
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(whole) * 8 {
		b := slices.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := envelope.NewDecoder().Decode(b); err == nil {
			t.Errorf("bit %d changed, and nobody noticed", bit)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := envelope.Reading{Seq: 1, Time: noon, Payload: []byte("1")}
	with := func(change func(*envelope.Reading)) envelope.Reading {
		r := good
		change(&r)
		return r
	}
	many := make([]envelope.Reading, envelope.MaxReadings+1)
	for i := range many {
		many[i] = envelope.Reading{Seq: uint64(i), Time: noon}
	}
	for name, tc := range map[string]struct {
		m    envelope.Message
		want error // nil: any
	}{
		"no readings":       {envelope.Message{Batch: true}, nil},
		"two without batch": {envelope.Message{Readings: many[:2]}, nil},
		"too many":          {envelope.Message{Batch: true, Readings: many}, envelope.ErrTooLarge},
		"too long":          {envelope.Message{Readings: []envelope.Reading{with(func(r *envelope.Reading) { r.Payload = make([]byte, envelope.MaxBody) })}}, envelope.ErrTooLarge},
		"falling sequence":  {envelope.Message{Batch: true, Readings: []envelope.Reading{good, good}}, nil},
		"unknown quality":   {envelope.Message{Readings: []envelope.Reading{with(func(r *envelope.Reading) { r.Quality = 3 })}}, nil},
		"year 10000":        {envelope.Message{Readings: []envelope.Reading{with(func(r *envelope.Reading) { r.Time = noon.AddDate(8000, 0, 0) })}}, nil},
	} {
		if _, err := envelope.NewEncoder(nil).Encode(tc.m); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got error %v, want %v", name, err, tc.want)
		}
	}
	if _, err := envelope.NewEncoder(nil).Encode(envelope.Message{Batch: true, Readings: many[:envelope.MaxReadings]}); err != nil {
		t.Errorf("the largest number of readings: %v", err)
	}
}

func TestDictionaries(t *testing.T) {
	if _, err := envelope.NewDictionary(nil); err == nil {
		t.Error("an empty dictionary was taken")
	}
	if _, err := envelope.NewDictionary(make([]byte, envelope.MaxDictionary+1)); err == nil {
		t.Error("a dictionary beyond the reach of DEFLATE was taken")
	}
	own, err := envelope.NewDictionary([]byte(`{"druck":4.2,"einheit":"bar"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := envelope.Message{Device: "d", Epoch: epoch, Readings: []envelope.Reading{{Seq: 1, Time: noon, Payload: []byte(`{"druck":4.3,"einheit":"bar"}`)}}}
	b, err := envelope.NewEncoder(own).Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envelope.NewDecoder().Decode(b); !errors.Is(err, envelope.ErrDictionary) || !strings.Contains(err.Error(), own.ID().String()) {
		t.Errorf("without the dictionary: got %v, want ErrDictionary with %v", err, own.ID())
	}
	got, err := envelope.NewDecoder(own).Decode(b)
	if err != nil || string(got.Readings[0].Payload) != string(m.Readings[0].Payload) || *got.Dictionary != own.ID() {
		t.Errorf("with the dictionary: got %+v, %v", got, err)
	}
	plain, err := envelope.NewEncoder(nil).Encode(m)
	if err != nil || len(b) >= len(plain) {
		t.Errorf("%d bytes with the dictionary, %d without (%v)", len(b), len(plain), err)
	}
}
