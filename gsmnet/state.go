package gsmnet

import "time"

// Step is how far the way from the port to an IP address has been gone.
type Step uint8

const (
	StepPort         Step = iota // the serial port
	StepPower                    // the module answers
	StepSIM                      // the SIM is ready
	StepRegistration             // a network has taken the SIM
	StepAttach                   // GPRS is there
	StepContext                  // the context is up: there is an IP address
	StepReady                    // all of it
)

var stepNames = [...]string{"port", "power", "sim", "registration", "attach", "context", "ready"}

func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return "unknown"
}

// State says where the module stands.
type State struct {
	Step   Step      // what is being worked on, or failed when Err is set; StepReady: nothing is left to do
	Since  time.Time // when Step was entered, or when it failed
	Detail string    // in words: what is being waited for, or why it failed
	Err    error     // why the last attempt ended here, nil while one is under way
	Alarm  string    // what somebody has to look at although the driver goes on: a module that restarts again and again; "": nothing
}

// State returns the present state.
func (m *Modem) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	if time.Now().Before(m.alarm.until) {
		s.Alarm = m.alarm.text
	}
	return s
}

// setState is called by the owner only, so that OnState sees the changes in order.
func (m *Modem) setState(step Step, detail string, err error) {
	m.mu.Lock()
	s := m.state
	if s.Step == step && s.Detail == detail && s.Err == err {
		m.mu.Unlock()
		return
	}
	if s.Step != step || (s.Err == nil) != (err == nil) {
		s.Since = time.Now()
	}
	s.Step, s.Detail, s.Err = step, detail, err
	m.state = s
	m.mu.Unlock()
	s = m.State()
	if m.cfg.OnState != nil {
		m.cfg.OnState(s)
	}
}

// cause is what to blame when a caller runs out of time in this state.
func (s State) cause() Cause {
	if c := CauseOf(s.Err); c != CauseUnknown {
		return c
	}
	switch s.Step {
	case StepPort:
		return CausePort
	case StepPower:
		return CausePower
	case StepSIM:
		return CauseSIM
	case StepRegistration:
		return CauseSearching
	case StepAttach:
		return CauseAttach
	case StepContext:
		return CauseAPN
	}
	return CauseTCP
}
