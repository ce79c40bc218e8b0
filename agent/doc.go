// Package agent takes readings in, keeps them on disk and delivers them to the broker: it joins a queue, a link and any
// number of sources, and decides what happens when one of them fails.
//
// It promises that a message is accepted only after the queue has it on disk, that it is released only when its receipt
// says that it has arrived, and that every state of the link has a since and a why that a person understands.
//
// Messages travel plain, in envelopes, or gathered into batches (Encoding). Gathering comes after the queue: each message is on
// disk by itself until the parcel that it is in has arrived.
//
// It doesn't know how the link works or where messages come from: Link, Session and Source are small interfaces that the
// commands fill in.
//
// An Agent runs once: New, then Run, which returns when its context ends or the storage fails. Status, Accept and Kick may
// be called from any goroutine.
package agent
