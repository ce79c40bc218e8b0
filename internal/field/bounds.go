package field

import (
	"runtime"
	"time"
)

// Bounds of invariants I5 and I9: several times the worst that some hundred days of faults came to.
const (
	mostDials      = 150 // in an hour: of the worst faults each ends a session
	mostDayDials   = 100
	mostDayLines   = 2500
	mostCommits    = 6 // for each reading that is offered: at QoS 2 alone on the air it takes four
	mostGoroutines = 400
)

// paces are counts at the beginning of an hour or a day.
type paces struct {
	nextHour, nextDay             time.Duration
	hourDials, dayDials, dayLines int
	commits                       uint64 // of this life of the agent
}

// pace looks at what may only happen so often.
func (r *run) pace(now time.Duration) {
	w, p := r.world, &r.paces
	if n := runtime.NumGoroutine(); n > mostGoroutines {
		w.model.violate("I5", "%d goroutines", n)
	}
	dials, lines := int(w.module.Stats().Connects), w.log.count()
	if now >= p.nextHour {
		if n := dials - p.hourDials; n > mostDials {
			w.model.violate("I9", "%d connections in an hour", n)
		}
		p.hourDials, p.nextHour = dials, now+time.Hour
		r.checkModes()
	}
	if now < p.nextDay {
		return
	}
	if p.nextDay > 0 {
		r.report.DayDials, r.report.DayLines = max(r.report.DayDials, dials-p.dayDials), max(r.report.DayLines, lines-p.dayLines)
		if n := dials - p.dayDials; n > mostDayDials {
			w.model.violate("I9", "%d connections in a day", n)
		}
		if n := lines - p.dayLines; n > mostDayLines {
			w.model.violate("I5", "%d log lines in a day", n)
		}
	}
	p.dayDials, p.dayLines, p.nextDay = dials, lines, now+24*time.Hour
}

// count adds up the writes of the queue's file.
func (r *run) count(commits uint64) {
	if commits < r.paces.commits { // of the next life
		r.paces.commits = 0
	}
	r.report.Commits += int(commits - r.paces.commits)
	r.paces.commits = commits
}

// checkCommits bounds them: each wears a flash.
func (r *run) checkCommits() {
	var total Report
	r.world.model.count(&total)
	if most := mostCommits * (total.Offered + 100); r.report.Commits > most {
		r.world.model.violate("I5", "%d writes of the queue's file for %d readings", r.report.Commits, total.Offered)
	}
}
