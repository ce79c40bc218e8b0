// Package downlink carries out commands that come from the broker: one on each topic below [Settings.Topic], whose last
// level is the command's name and whose payload is a small JSON object with an id.
//
// # What it promises
//
//   - [Downlink.Handle] returns nil, upon which the broker gets its PUBACK, only when the command is on disk or has been
//     answered or refused for good. A command that comes again, by its id, is not carried out again and not answered again.
//   - Each id gets one answer. The answer is stored in the agent's queue in the same transaction that notes the command as
//     done, so that it survives outages and kill -9 as every reading does.
//   - A command that changes something ([Action.Once]) begins at most once. When the agent was killed in the middle of it,
//     the answer says that its outcome is unknown. The others are carried out again.
//   - Nothing is carried out that is not allowed by name, is stale, came as a retained message, or comes faster than the
//     rate. There is no command that runs a program, and none that takes a path.
//   - Memory is bounded: one command is worked on at a time, the next ones wait at the broker.
//
// # What it does not do
//
// It does not know MQTT, and who may send commands is the broker's to decide. It remembers the last 128 ids, not all.
//
// # Concurrency
//
// All methods of [Downlink] may be called from any goroutine; Run once.
package downlink
