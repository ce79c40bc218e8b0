package gsmnet

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// fields cuts "+QISACK: 48, 48, 0" after its prefix into trimmed fields. Firmware differs in its spaces.
func fields(line, prefix string) ([]string, bool) {
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return nil, false
	}
	f := strings.Split(rest, ",")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return f, true
}

// acks is the answer to AT+QISACK (G4.5).
type acks struct{ sent, acked, unacked uint64 }

func parseAcks(line string) (acks, error) {
	f, ok := fields(line, "+QISACK:")
	if len(f) == 4 && f[0] == "0" { // some put the socket's number ahead
		f = f[1:]
	}
	if !ok || len(f) != 3 {
		return acks{}, errors.New("not three numbers")
	}
	var n [3]uint64
	for i := range n {
		v, err := strconv.ParseUint(f[i], 10, 63)
		if err != nil {
			return acks{}, errors.New("not three numbers")
		}
		n[i] = v
	}
	a := acks{n[0], n[1], n[2]}
	if a.acked > a.sent || a.sent-a.acked != a.unacked {
		return acks{}, errors.New("the numbers contradict one another")
	}
	return a, nil
}

// parsePeer reads the sender from the header of received data, "+QIRD: 116.228.146.250:7070,TCP,36" (G5.4).
func parsePeer(header string) (netip.AddrPort, bool) {
	f, ok := fields(header, "+QIRD:")
	if !ok {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddrPort(f[0])
	return a, err == nil
}

// parseState reads "STATE: IP INITIAL" (G3.2).
func parseState(line string) (string, bool) {
	rest, ok := strings.CutPrefix(line, "STATE:")
	return strings.TrimSpace(rest), ok
}

// stateReply accepts what AT+QISTAT answers: the OK comes first, the state after it.
func stateReply(line string) at.Verdict {
	if _, ok := parseState(line); ok {
		return at.Done
	}
	return orBare(line)
}

// addressReply accepts what AT+QILOCIP answers: the bare address, and no OK.
func addressReply(line string) at.Verdict {
	if _, err := netip.ParseAddr(line); err == nil {
		return at.Done
	}
	return orBare(line)
}

// orBare is at.Final for a command whose OK says nothing.
func orBare(line string) at.Verdict {
	if line == "OK" {
		return at.Bare
	}
	return at.Final(line)
}

// readReply accepts what AT+QIRD answers beside the data: OK alone when there is none, on newer firmware behind a count of 0.
func readReply(line string) at.Verdict {
	if f, ok := fields(line, "+QIRD:"); ok && f[len(f)-1] == "0" && len(f) <= 3 {
		return at.Bare
	}
	return at.Final(line)
}

// registrationReply accepts the answer to AT+CREG? and leaves the URC alone, which lacks the first number: "+CREG: 0,1" is the
// answer, "+CREG: 1" and "+CREG: 1,\"2842\",\"0461\"" are not.
func registrationReply(prefix string) func(string) at.Verdict {
	return at.Informed(func(line string) bool {
		_, ok := registration(line, prefix)
		return ok
	})
}

func registration(line, prefix string) (stat int, ok bool) {
	f, ok := fields(line, prefix)
	if !ok || len(f) < 2 {
		return 0, false
	}
	if _, err := strconv.Atoi(f[0]); err != nil {
		return 0, false
	}
	stat, err := strconv.Atoi(f[1])
	return stat, err == nil
}

func registrationURC(line, prefix string) (stat int, ok bool) {
	f, ok := fields(line, prefix)
	if !ok || len(f) == 2 || len(f) == 0 {
		return 0, false
	}
	stat, err := strconv.Atoi(f[0])
	return stat, err == nil
}

// number reads the n-th number of an information line.
func number(line, prefix string, n int) (int, bool) {
	f, ok := fields(line, prefix)
	if !ok || n >= len(f) {
		return 0, false
	}
	v, err := strconv.Atoi(f[n])
	return v, err == nil
}

// digits accepts a bare number of at least so many characters, as AT+GSN and AT+QCCID answer; the letters of an ICCID count.
func digits(least int) func(string) at.Verdict {
	return at.Informed(func(line string) bool {
		bare := strings.Trim(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "+QCCID:"), "+CCID:")), `"`)
		return len(bare) >= least && checkChars(bare, 32, alphanumeric) == nil && bare[0] >= '0' && bare[0] <= '9'
	})
}

// commandReply accepts the reply to any command that Command lets through.
func commandReply(line string) func(string) at.Verdict {
	if text, ok := commandEnds[bare(line)]; ok {
		return endsWith(text)
	}
	switch bare(line) {
	case "AT+QISTAT":
		return stateReply
	case "AT+QILOCIP":
		return addressReply
	case "AT+CREG?":
		return registrationReply("+CREG:")
	case "AT+CGREG?":
		return registrationReply("+CGREG:")
	case "AT+CPIN?":
		return at.Prefixed("+CPIN:")
	case "AT+CFUN?":
		return at.Prefixed("+CFUN:")
	}
	return at.Any
}

// sameSetting compares what a setting reads back as with what was to be set. Quotes and case of an APN don't matter.
func sameSetting(got []string, want string) bool {
	w := strings.Split(want, ",")
	if len(got) < len(w) {
		return false
	}
	for i := range w {
		if !strings.EqualFold(strings.Trim(got[i], `"`), strings.Trim(w[i], `"`)) {
			return false
		}
	}
	return true
}
