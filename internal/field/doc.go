// Package field is a simulated field: one device, from its readings to the cloud, in a world where everything happens
// that happens to such boxes in years, driven by one seed.
//
// Around a real agent (queue file, Paho, guard, module driver; whoever calls Run brings it as a Start function) stand a
// simulated module with its radio, SIM, operator and NAT, a cloud broker, sensors, and a supply that fails. A plan, drawn
// from the seed, says which fault begins when and for how long. A model keeps the history of every reading: offered,
// accepted, arrived. It is checked after every fault, every ten minutes, and at the end, when all faults are lifted and the queue has
// to drain within a stated time. What must hold (see Violation):
//
//	I1   no accepted reading is lost, unless a bound of the queue dropped it and counted it: the oldest of the least urgent lane, or what
//	     is as old as configured
//	I2   none leaves the queue before the cloud has it
//	I3   first arrivals are in the order of acceptance, per sensor
//	I4   at QoS 2 none arrives twice while the broker keeps its session, and nothing arrives that nobody sent or that was refused
//	I5   goroutines, log lines and writes of the queue's file are bounded
//	I6   a PIN is tried once on a SIM that refuses it
//	I7   when there was no fault for as long as Drain nothing waits that is older, and at the end nothing at all
//	I8   no state lasts longer than Silence without a log line
//	I9   connections per hour and day are bounded
//	I10  nothing on disk is readable for others
//	I11  a stamp that is called known is the time at which the reading was taken in, as a time server had set the clock by then
//
// Package mutant puts defects into the agent and looks whether they are noticed.
//
// What it doesn't do: of all writes to the disk a power cut tears the commit of a reading only, and the other small files never
// (package queue rebuilds what a cut can leave of a commit and of a compaction, sector by sector); the clock that doesn't jump runs
// evenly; and goroutines are scheduled as they please, so a seed gives the same faults at the same times, but not the same
// bytes twice.
//
// Everything runs in virtual time inside a testing/synctest bubble that the caller makes. A Run is used by one goroutine.
package field
