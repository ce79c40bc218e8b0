// Package usage keeps account of the bytes that an agent puts on the air: by cause, by topic and direction, for each day and
// each month of the contract, across restarts; and it holds the account against a budget.
//
// A [Ledger] is fed with growing counters ([Ledger.Take]) and with the packets of messages as they leave
// ([Ledger.Published]). What is counted while the time isn't known waits and goes to the day on which it becomes known.
//
// It promises that a month's sum never shrinks, and that a restart loses what was counted since the last [Ledger.Save]
// at most. It doesn't measure anything itself, and holds nothing back itself: [Ledger.Budget] says what should be.
//
// All methods may be called concurrently.
package usage
