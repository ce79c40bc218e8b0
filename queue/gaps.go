package queue

// gap is what the tree of a lane doesn't lead to: the sequences between two, both excluded.
type gap struct {
	lane          Lane
	after, before uint64 // after is 0 where nothing in front of the gap is known
}

// countGaps counts as lost what is missing in the gaps, after all that can be read was saved. It may count a message that had left
// the queue before those around it, or one of another lane, since the file doesn't tell whose a sequence was: those are noted as unsure. It
// never counts too few: what can't be counted is noted as more.
func (w *wreck) countGaps() {
	if !w.hurt {
		return
	}
	var lowest, highest uint64
	for seq := range w.saved {
		if lowest == 0 || seq < lowest {
			lowest = seq
		}
		highest = max(highest, seq)
	}
	for _, l := range Lanes() {
		if !w.visited[l] {
			w.gaps = append(w.gaps, gap{l, 0, highest + 1})
			w.more = true // behind the last one that was found there may have been others
		}
	}
	for _, g := range w.gaps {
		if g.after == 0 {
			w.more = true
			g.after = max(lowest, 1) - 1
		}
		if g.before <= g.after {
			continue
		}
		if g.before-g.after > uint64(w.p.size)/leafHeader { // the file had no room for so many
			w.more = true
			continue
		}
		for seq := g.after + 1; seq < g.before; seq++ {
			if _, known := w.lost[seq]; !known && !w.saved[seq] {
				w.lost[seq] = g.lane
				w.unsure++
			}
		}
	}
}
