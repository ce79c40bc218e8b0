// Package queue is a durable, bounded queue of messages in one bbolt file.
//
// # What it promises
//
//   - Put returns after the message is on disk (fsync), and not before. From then on it survives the process being killed
//     and the power being cut, until it is released, or dropped within the bounds of [Config].
//   - All messages of one Put are stored or none of them; with PutAt, the producer's cursor with them.
//   - Within a lane messages are handed out in the order in which Put took them, and all waiting messages of a lane before
//     those of the next one (unless [LiveFirst] is asked for).
//   - What is dropped is counted by reason, and reported by a loss receipt, which is itself a message in the queue.
//   - After the storage has failed to flush nothing is acknowledged any more: see [Queue.Done].
//   - A damaged file is never deleted: it is set aside, and what can be read of it is saved into a new one.
//   - What was released can be had again with [Queue.Resend], as far as [Config.KeepReleased] keeps it.
//
// # What it does not do
//
// It does not send anything, does not decide when a message has arrived, and never logs. A release is not durable at once:
// a crash within [Config.ReleaseWait] makes messages come back that were released already (a repeat, never a loss).
// It needs a local file system with mmap, flock and an fsync that keeps its word.
//
// # Concurrency
//
// All methods of [Queue] may be called concurrently. A [Reader] belongs to one goroutine. One commit runs at a time, in
// the goroutine of a producer; those that come meanwhile share the next one. One goroutine of the queue, the keeper, does
// what nobody waits for; [Queue.Close] waits for it.
// Between processes the file is guarded by a lock file beside it, which names the process that holds it.
//
// # Format
//
// Each lane is a bucket: the key is the message's sequence, the value a record whose layout is described in record.go.
// A file has format 1, 2 once a flight of several messages was noted in it, or 3 once one was whose messages were dropped.
// The page layout below is bbolt's, version 2; pages.go says what of it is relied on.
package queue
