// Package keep stores the small things that an agent has learned and wants to know again after a restart: a file each, in
// the agent's data folder, beside the queue.
//
// It promises that a file is the old one or the new one, whole, whenever the power fails; that only its owner may read it;
// that a file whose content was changed behind its back is noticed, set aside under another name and not used; and that
// saving what is already there writes nothing, so that flash isn't worn by state that doesn't change.
//
// It doesn't decide when to save: each [Save] that changes something costs two flushes of the disk, so a caller that counts
// bytes saves every few minutes and not at each one. What must never be lost belongs into the queue.
//
// Different files may be used from different goroutines; a file has one user at a time.
//
// A file has two lines: the value as JSON, and the CRC-32C of the first line in hexadecimal.
package keep
