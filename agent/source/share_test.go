package source_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/source"
)

// An MQTT client that brings more than its share is read more slowly, and loses nothing; another one isn't held up.
func TestGreedyMQTTClientIsSlowedDown(t *testing.T) {
	const sends, rate = 150, 10
	s := new(sink)
	bubbleAt(t, source.Rate{Messages: rate}, s, func(t *testing.T, p *pipes, m *source.MQTT) {
		greedy, modest := p.dial(), p.dial()
		shake(t, greedy, "greedy")
		shake(t, modest, "modest")
		begun := time.Now()
		for i := range sends {
			exchange(t, greedy, publishPacket(1, 0, uint16(i+1), "t/greedy", "x"), 0x40)
			if i%50 == 49 {
				before := time.Now()
				exchange(t, modest, publishPacket(1, 0, uint16(i+1), "t/modest", "x"), 0x40)
				if took := time.Since(before); took > 0 {
					t.Errorf("the modest client waited for %v", took)
				}
			}
		}
		// Ten seconds' worth may come at once.
		if got, want := time.Since(begun), (sends-10*rate)*time.Second/rate; got != want {
			t.Errorf("%d messages took %v, want %v", sends, got, want)
		}
		if got := m.Status(); got.Slowed != sends-10*rate || got.Refused != 0 || got.Error != "" || len(s.all()) != sends+3 {
			t.Errorf("got status %+v and %d messages", got, len(s.all()))
		}
		_ = greedy.Close()
		_ = modest.Close()
	})
}

// A client's wait doesn't hold up the end of the source.
func TestSlowedClientDoesNotHoldUpTheStop(t *testing.T) {
	s := new(sink)
	var begun time.Time
	bubbleAt(t, source.Rate{Bytes: 1}, s, func(t *testing.T, p *pipes, _ *source.MQTT) {
		c := p.dial()
		shake(t, c, "c")
		for i := range uint16(3) { // beyond the bucket: hours
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(publishPacket(0, 0, i, "t", strings.Repeat("x", 60000)))
		}
		synctest.Wait()
		begun = time.Now()
		t.Cleanup(func() {
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it ended after %v", took)
			}
		})
	})
}

// An HTTP client that brings more than its share is told when to come back, and nothing of its request is stored.
func TestGreedyHTTPClientIsToldToWait(t *testing.T) {
	for name, rate := range map[string]source.Rate{"messages": {Messages: 10}, "bytes": {Bytes: 70 * 10}} {
		s := new(sink)
		h, err := source.NewHTTP(source.HTTPConfig{Address: "127.0.0.1:0", Sink: s, Rate: rate, Limits: source.Limits{MaxPayload: 1000}})
		if err != nil {
			t.Fatal(err)
		}
		address, _ := start(t, h)
		full, last := 0, (*http.Response)(nil)
		for full < 1000 { // the bucket holds 1000 messages, or 1 MiB: a request has to fit
			last = post(t, address, 500)
			if last.StatusCode != http.StatusAccepted {
				break
			}
			full++
		}
		if last.StatusCode != http.StatusTooManyRequests || full < 2 {
			t.Fatalf("%s: after %d requests: %s", name, full, last.Status)
		}
		var seconds int
		if _, err := fmt.Sscan(last.Header.Get("Retry-After"), &seconds); err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("%s: Retry-After is %q", name, last.Header.Get("Retry-After"))
		}
		if got := h.Status(); got.Slowed != 500 || got.Refused != 0 || len(s.all()) != full*500 {
			t.Errorf("%s: got status %+v and %d messages", name, got, len(s.all()))
		}
	}
}

// post sends n messages of 70 bytes, topics included.
func post(t *testing.T, address string, n int) *http.Response {
	t.Helper()
	body := strings.Repeat(`{"topic":"site/0001","payload":"`+strings.Repeat("x", 61)+`"}`+"\n", n)
	resp, err := http.Post("http://"+address+"/v1/messages", "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

// A message that is refused, kept by its client and sent again, marked as a repeat, is one message.
func TestRepeatsOfARefusedMessageCountOnce(t *testing.T) {
	m, s, address := newMQTT(t, nil)
	s.fail(errBroken)
	for i := range byte(3) {
		c := dialRaw(t, address).connect("c")
		c.send(publishPacket(1, min(i, 1), 1, "t", "x"))
		c.wantClosed()
	}
	if got := m.Status(); got.Refused != 1 || got.Error == "" {
		t.Errorf("got status %+v, want one refusal", got)
	}
}

func shake(t *testing.T, c net.Conn, id string) {
	t.Helper()
	exchange(t, c, connectPacket(4, cleanSession, 60, id), 0x20)
}

// exchange sends a packet and waits for the answer of that kind, of four bytes.
func exchange(t *testing.T, c net.Conn, packet []byte, kind byte) {
	t.Helper()
	answer := make([]byte, 4)
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, answer); err != nil || answer[0] != kind {
		t.Fatalf("got %x and %v, want an answer of kind %x", answer, err, kind)
	}
}
