// Package gsmsim is a simulated Quectel GSM/GPRS module of the M95 and M66 class, driven by
// AT commands over a serial line, with a radio, an operator's network and real TCP behind it.
//
// It behaves as such modules are known to behave, the unpleasant parts included: nothing but a
// garbled first answer while the speed is found out, payload echo that ATE0 does not switch off,
// OK before STATE, an address without OK, settings refused while a context is up, a prompt
// without a line end, acknowledged counts that stop moving without a word.
//
// # What it promises
//
// A byte on the serial line takes ten bits at the line's speed, in both directions. A packet on
// the air takes its size plus ten bytes for every 496 at the radio's rate, and half the round
// trip more. Between module and server runs a small TCP of its own (segments of at most 1448 bytes, a
// window of 7300, slow start, delayed acknowledgements, retransmission, giving up), so that
// AT+QISACK counts a byte only when it was written to the connection that [Config].Dial
// returned and the acknowledgement has travelled back. What the module drops without a
// goodbye stays open at the server until that side's own TCP gives up.
//
// All of it follows package time, so it runs in real time and in a testing/synctest bubble
// alike, and with the same [Config].Seed and the same timing of the host it does the same again.
//
// # What it does not do
//
// No voice calls, SMS, PPP, FTP, HTTP or mail commands, no server sockets, no sleep mode, no
// XON/XOFF flow control. The radio has no model of neighbouring cells or of other users.
//
// # Concurrency
//
// One goroutine owns the whole state of a module; every method sends it a request and may be
// called at any time from any goroutine, but not from within Config.Trace. Close waits for all
// goroutines that the module started.
//
// # Commands
//
// Chained with semicolons or alone: E V Z &F &W O I; +IPR +CMEE +CGMI +CGMM +CGMR +GSN +CGSN +CFUN +QPOWD +CBC
// +QTEMP +CPAS +QINISTAT; +CPIN +CIMI +CCID +QCCID +QSIMSTAT +QTRPIN; +CREG +CGREG +CGATT +CSQ
// +COPS +QENG +QNSTATUS +CCLK +QNITZ; +QIFGCNT +QICSGP +QIMUX +QIMODE +QITCFG +QINDI +QIDNSIP
// +QIDNSCFG +QIDNSGIP +QIHEAD +QISHOWRA +QISHOWPT +QISHOWLA +QIPROMPT +QISDE +QISRVC +QIURC +QIREGAPP
// +QIACT +QILOCIP +QIDEACT +QISTAT +QISTATE +QIOPEN +QICLOSE +QISEND +QISACK +QIRD. +QOPS hangs the
// module, as on some of them.
//
// # Profiles
//
// [Profile] gives a Config by name, or reads one from a JSON file: an object with the keys of
// Config in snake_case ("nat_idle", "radio", ...), durations as strings ("600ms"), and
// optionally "base" with the name of the profile to start from:
//
//	{"base": "m66", "nat_idle": "10m", "radio": {"up": 1500, "rtt": "1s"}, "faults": {"hang": false}}
//
// The commands are those of Quectel's "GSM TCPIP Application Note" and M-series AT command
// manuals, the numbers in 3GPP TS 27.007.
package gsmsim
