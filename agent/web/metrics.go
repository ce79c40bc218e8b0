package web

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// maxScrapes is how many may ask at a time: each costs a status and a look into /proc.
const maxScrapes = 4

// metrics serves the status in Prometheus' text format, beside what there is to say of the process. No label carries
// what identifies a SIM or a module.
func metrics(status func() agent.Status) http.Handler {
	all := append(families(), processFamilies()...)
	scrapes := make(chan struct{}, maxScrapes)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case scrapes <- struct{}{}:
			defer func() { <-scrapes }()
		default:
			http.Error(w, "Enough others ask for the metrics already.", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", expositionType)
		_, _ = w.Write(expose(all, status())) // fails only when the client has gone
	})
}

// family is one metric family: how it is described and what it is read from.
type family struct {
	name, help string
	kind       string // "gauge" or "counter"
	labels     []string
	read       func(agent.Status, emit)
}

// emit takes one value of a family with the values of its labels.
type emit func(value float64, labels ...string)

func gauge(name, help string, read func(agent.Status, emit), labels ...string) family {
	return family{"fieldpost_" + name, help, "gauge", labels, read}
}

func counter(name, help string, read func(agent.Status, emit), labels ...string) family {
	return family{"fieldpost_" + name, help, "counter", labels, read}
}

// families is what the agent tells about itself.
func families() []family {
	return slices.Concat(linkFamilies(), airFamilies(), pathFamilies(), queueFamilies(), sourceFamilies())
}

func linkFamilies() []family {
	return []family{
		gauge("build_info", "Always 1; the labels tell what runs.",
			func(st agent.Status, put emit) { put(1, st.Version, runtime.Version()) }, "version", "go_version"),
		gauge("verdict", "1 at the verdict that the status page shows, 0 at the others.",
			func(st agent.Status, put emit) {
				for _, v := range []agent.Verdict{agent.VerdictOK, agent.VerdictConnecting, agent.VerdictBlocked} {
					put(flag(st.Verdict == v), string(v))
				}
			}, "verdict"),
		gauge("link_connected", "1 while an MQTT session stands.",
			func(st agent.Status, put emit) { put(flag(st.Link.Connected)) }),
		gauge("link_changed_timestamp_seconds", "When the last session began or ended.",
			func(st agent.Status, put emit) { putTime(put, &st.Link.Since) }),
		gauge("link_step_state", "1 at the state in which each step of the link is, 0 at the others.",
			func(st agent.Status, put emit) {
				for _, step := range st.Link.Steps {
					for _, state := range []agent.StepState{agent.StepIdle, agent.StepWaiting, agent.StepOK, agent.StepFailed} {
						put(flag(step.State == state), string(step.Step), string(state))
					}
				}
			}, "step", "state"),
		counter("link_sessions_total", "MQTT sessions since the start of the agent.",
			func(st agent.Status, put emit) { put(float64(st.Link.Sessions)) }),
		counter("link_outages_total", "Sessions that stood and were lost since the start of the agent.",
			func(st agent.Status, put emit) { put(float64(st.Link.Sessions) - flag(st.Link.Connected)) }),
		counter("link_stream_bytes_total", "Bytes of the stream to and from the broker, TLS included, TCP and IP headers not.",
			func(st agent.Status, put emit) {
				put(float64(st.Link.BytesUp), "up")
				put(float64(st.Link.BytesDown), "down")
			}, "direction"),
	}
}

// airFamilies tell what goes over the air, and of the budget for it.
func airFamilies() []family {
	return []family{
		counter("air_bytes_total", "Bytes on the air as IP packets in this month of the contract; TCP/IP headers are estimated.",
			func(st agent.Status, put emit) {
				if st.Usage == nil || st.Usage.Month == nil {
					return
				}
				for _, c := range st.Usage.Month.Up.Causes() {
					put(float64(c.Bytes), "up", c.Name)
				}
				for _, c := range st.Usage.Month.Down.Causes() {
					put(float64(c.Bytes), "down", c.Name)
				}
			}, "direction", "cause"),
		counter("air_publish_bytes_total", "Bytes of PUBLISH packets in this month of the contract, by the first two levels of their topics.",
			func(st agent.Status, put emit) {
				if st.Usage != nil && st.Usage.Month != nil {
					for prefix, n := range st.Usage.Month.Prefixes {
						put(float64(n), prefix)
					}
				}
			}, "prefix"),
		gauge("air_budget_bytes", "Bytes a month that may go over the air; absent without a budget.",
			func(st agent.Status, put emit) {
				if st.Usage != nil && st.Usage.BudgetBytes != nil {
					put(float64(*st.Usage.BudgetBytes))
				}
			}),
		gauge("air_reserve_bytes", "Bytes of the budget that are kept for alarms; absent without a budget.",
			func(st agent.Status, put emit) {
				if st.Usage != nil && st.Usage.ReserveBytes != nil {
					put(float64(*st.Usage.ReserveBytes))
				}
			}),
		gauge("air_forecast_bytes", "Bytes that this month is expected to take; absent while too little is known.",
			func(st agent.Status, put emit) {
				if st.Usage != nil && st.Usage.ForecastBytes != nil {
					put(float64(*st.Usage.ForecastBytes))
				}
			}),
		gauge("air_held", "1 while the budget holds messages back.",
			func(st agent.Status, put emit) { put(flag(st.Usage != nil && st.Usage.Held != "")) }),
	}
}

// pathFamilies tell of the way to the broker: how long it bears silence, and how the module is.
func pathFamilies() []family {
	return []family{
		gauge("link_keepalive_seconds", "How long the connection may be silent before a ping.",
			func(st agent.Status, put emit) {
				if k := st.Link.Keepalive; k != nil {
					put(float64(k.IntervalSeconds))
				}
			}),
		gauge("link_keepalive_proven_seconds", "The longest silence that the network in use has borne; absent before the first.",
			func(st agent.Status, put emit) {
				if k := st.Link.Keepalive; k != nil && k.ProvenSeconds != nil {
					put(float64(*k.ProvenSeconds))
				}
			}),
		counter("link_forgotten_total", "Connections that the network in use forgot while they were silent, ever.",
			func(st agent.Status, put emit) {
				if k := st.Link.Keepalive; k != nil {
					put(float64(k.Lost))
				}
			}),
		gauge("modem_alarm", "1 while the module tells something that somebody has to look at, such as its voltage; absent while unknown.",
			func(st agent.Status, put emit) {
				if m := st.Link.Modem; m != nil {
					put(flag(m.Alarm != ""))
				}
			}),
		gauge("modem_signal_dbm", "Received signal strength in dBm; absent while unknown.",
			func(st agent.Status, put emit) {
				if m := st.Link.Modem; m != nil && m.SignalDBm != nil {
					put(float64(*m.SignalDBm))
				}
			}),
	}
}

func queueFamilies() []family {
	return []family{
		gauge("queue_messages", "Messages on disk that have not provably arrived, by lane.",
			func(st agent.Status, put emit) { putMap(put, st.Queue.Lanes) }, "lane"),
		gauge("queue_bytes", "Bytes of those messages.",
			func(st agent.Status, put emit) { put(float64(st.Queue.Bytes)) }),
		gauge("queue_max_bytes", "Bytes that the queue may hold.",
			func(st agent.Status, put emit) { put(float64(st.Queue.MaxBytes)) }),
		gauge("queue_file_bytes", "Size of the queue's file.",
			func(st agent.Status, put emit) { put(float64(st.Queue.FileBytes)) }),
		gauge("queue_oldest_timestamp_seconds", "When the oldest message on disk was accepted; absent while there is none.",
			func(st agent.Status, put emit) { putTime(put, st.Queue.OldestAt) }),
		gauge("queue_failed", "1 when the storage has failed and nothing is accepted any more.",
			func(st agent.Status, put emit) { put(flag(st.Queue.Error != "")) }),
		counter("queue_dropped_messages_total", "Messages given up, by reason, over the life of the queue's file.",
			func(st agent.Status, put emit) { putMap(put, st.Queue.Dropped) }, "reason"),
		gauge("queue_recovered_messages", "Messages of a damaged file, by what became of them when it was opened; absent if it was whole.",
			func(st agent.Status, put emit) {
				if r := st.Queue.Recovery; r != nil {
					put(float64(r.Saved), "saved")
					put(float64(r.Lost), "lost")
				}
			}, "result"),
		counter("messages_accepted_total", "Messages taken in and on disk since the start of the agent.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.Accepted)) }),
		counter("messages_refused_total", "Messages not taken in since the start of the agent.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.Refused)) }),
		counter("messages_delivered_total", "Messages that provably arrived since the start of the agent.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.Delivered)) }),
		counter("messages_repeated_total", "Messages sent once more because the proof of the first time was missing.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.Repeated)) }),
		counter("sessions_lost_total", "Connections to a broker that had no session with what was on its way.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.SessionsLost)) }),
		counter("published_messages_total", "MQTT messages published since the start of the agent; with encoding.format batch fewer than the messages in them.",
			func(st agent.Status, put emit) { put(float64(st.Encoding.Published)) }),
		counter("published_bytes_total", "Bytes of their topics and payloads, as published.",
			func(st agent.Status, put emit) { put(float64(st.Encoding.BytesOut)) }),
		counter("encoded_bytes_total", "Bytes of topics and payloads of the messages in them, before they were encoded.",
			func(st agent.Status, put emit) { put(float64(st.Encoding.BytesIn)) }),
		counter("presence_messages_total", "Presence messages published since the start of the agent; absent where presence is off.",
			func(st agent.Status, put emit) {
				if st.Presence != nil {
					put(float64(st.Presence.Published))
				}
			}),
		counter("presence_bytes_total", "Bytes of those messages on the connection, above TLS.",
			func(st agent.Status, put emit) {
				if st.Presence != nil {
					put(float64(st.Presence.Bytes))
				}
			}),
		gauge("messages_in_flight", "Messages on their way, not yet proved.",
			func(st agent.Status, put emit) { put(float64(st.Delivery.InFlight)) }),
		gauge("messages_delivered_timestamp_seconds", "When the last message provably arrived; absent before the first.",
			func(st agent.Status, put emit) { putTime(put, st.Delivery.LastDeliveredAt) }),
	}
}

func sourceFamilies() []family {
	perSource := func(read func(agent.SourceStatus) float64) func(agent.Status, emit) {
		return func(st agent.Status, put emit) {
			for _, s := range st.Sources {
				put(read(s), s.Name)
			}
		}
	}
	return []family{
		counter("source_messages_accepted_total", "Messages that a source has taken in since the start of the agent.",
			perSource(func(s agent.SourceStatus) float64 { return float64(s.Accepted) }), "source"),
		counter("source_messages_refused_total", "Messages that a source has refused since the start of the agent.",
			perSource(func(s agent.SourceStatus) float64 { return float64(s.Refused) }), "source"),
		counter("source_messages_slowed_total", "Messages that came faster than limits allow one client: held up, or to be sent again.",
			perSource(func(s agent.SourceStatus) float64 { return float64(s.Slowed) }), "source"),
		gauge("source_failed", "1 while a source doesn't work.",
			perSource(func(s agent.SourceStatus) float64 { return flag(s.Error != "") }), "source"),
		gauge("source_accepted_timestamp_seconds", "When a source last took a message in; absent before the first.",
			func(st agent.Status, put emit) {
				for _, s := range st.Sources {
					putTime(func(v float64, _ ...string) { put(v, s.Name) }, s.LastAt)
				}
			}, "source"),
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func putMap(put emit, values map[string]uint64) {
	for _, label := range slices.Sorted(maps.Keys(values)) {
		put(float64(values[label]), label)
	}
}

func putTime(put emit, t *time.Time) {
	if t != nil && !t.IsZero() {
		put(float64(t.UnixMilli()) / 1e3)
	}
}
