package config

import "strings"

// nearest returns the candidate that is most like word, or "" if none is like
// it enough to be what was meant: at most a third of its letters differ.
func nearest(word string, candidates []string) string {
	best, bestAt := "", len(word)/3+1
	for _, c := range candidates {
		d := distance(strings.ToLower(word), c)
		if d <= bestAt && d < max(len(c), 1) && (best == "" || d < bestAt) {
			best, bestAt = c, d
		}
	}
	return best
}

// distance returns how many letters must be inserted, removed, replaced or
// swapped with their neighbour to turn a into b.
func distance(a, b string) int {
	before := make([]int, len(b)+1) // the row two above
	above := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
