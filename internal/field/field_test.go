package field_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/internal/field"
)

// A seed has to give the same faults for ever, or a failure could not be looked at again.
func TestPlanFollowsTheSeed(t *testing.T) {
	r := field.Replay{Seed: 3, Hours: 240}
	first, second := r.Plan(), r.Plan()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two plans of one seed differ (-first +second):\n%s", diff)
	}
	if len(first) < 20 {
		t.Errorf("ten days have %d faults: too few to prove anything", len(first))
	}
	if !slices.IsSortedFunc(first, func(a, b field.Fault) int { return int(a.At - b.At) }) {
		t.Error("the faults are not in order")
	}
	other := field.Replay{Seed: 4, Hours: 240}
	if cmp.Equal(first, other.Plan()) {
		t.Error("another seed has the same plan")
	}
}

func TestReplayIsReadBack(t *testing.T) {
	for _, want := range []field.Replay{
		{Seed: 7, Hours: 72},
		{Seed: 18446744073709551615, Hours: 1, Only: []int{}},
		{Seed: 9, Hours: 720, Only: []int{0, 3, 11}},
	} {
		got, err := field.ParseReplay(want.String(), 24)
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s was read differently (-want +got):\n%s", want, diff)
		}
	}
	got, err := field.ParseReplay("5", 24)
	if want := (field.Replay{Seed: 5, Hours: 24}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("a seed alone gave %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "x", "1:0", "1:x", "1:2:x", "1:2:-3", "1:2:3:4"} {
		if _, err := field.ParseReplay(bad, 24); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Of many faults, two together are to blame.
func TestShrinkFindsTheCulprits(t *testing.T) {
	all := field.Replay{Seed: 3, Hours: 240}
	tried := 0
	got := field.Shrink(all, 200, func(r field.Replay) bool {
		tried++
		return slices.Contains(r.Only, 4) && slices.Contains(r.Only, 17)
	})
	if want := []int{4, 17}; !slices.Equal(got.Only, want) {
		t.Errorf("%d tries left %v, want %v", tried, got.Only, want)
	}
	if len(got.Plan()) != 2 {
		t.Errorf("the plan of %s has %d faults, want 2", got, len(got.Plan()))
	}
}
