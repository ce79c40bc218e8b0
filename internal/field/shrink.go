package field

// Shrink looks for fewer faults that still fail, by trying again without some of them: without a half, a quarter, and at
// last without one. fails plays a run; it is called at most tries times. Goroutines are scheduled anew each time, so what
// comes out is small rather than smallest.
func Shrink(r Replay, tries int, fails func(Replay) bool) Replay {
	if r.Only == nil {
		r.Only = make([]int, len(r.Plan()))
		for i := range r.Only {
			r.Only[i] = i
		}
	}
	for size := (len(r.Only) + 1) / 2; size >= 1 && tries > 0; {
		smaller := false
		for from := 0; from < len(r.Only) && tries > 0; from += size {
			without := r
			without.Only = append(append([]int{}, r.Only[:from]...), r.Only[min(from+size, len(r.Only)):]...)
			tries--
			if fails(without) {
				r, smaller = without, true
				from -= size
			}
		}
		if !smaller {
			size /= 2
		}
	}
	return r
}
