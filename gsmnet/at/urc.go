package at

import "strings"

// unsolicited are the beginnings of the lines that a module of this family sends on its own. A command whose reply begins
// like one of them claims it first, in its Accept.
var unsolicited = []string{
	"+QIRDI:", "+QIURC:", "+QNITZ:", "+CREG:", "+CGREG:", "+CPIN:", "+CFUN:", "+CMTI:", "+CMT:", "+CDS:", "+CDSI:",
	"+CBM:", "+CLIP:", "+CRING:", "+CCWA:", "+CUSD:", "+CTZV:", "+CTZR:", "+PDP DEACT", "+PDP: DEACT", "RECV FROM:", "RCV FROM:",
	"UNDER_VOLTAGE", "OVER_VOLTAGE",
}

// alone are the lines that are unsolicited when they stand as they are.
var alone = []string{"RDY", "CLOSED", "RING", "Call Ready", "SMS Ready", "NORMAL POWER DOWN", "NO CARRIER", "BUSY", "NO ANSWER"}

// Unsolicited reports whether a line that no command has claimed is one that modules send on their own.
func Unsolicited(line string) bool {
	for _, s := range alone {
		if line == s {
			return true
		}
	}
	for _, s := range unsolicited {
		if strings.HasPrefix(line, s) {
			return true
		}
	}
	return false
}

// ends reports whether a line says that the module will not answer any more what it was asked before: it has started anew,
// or it is switching off.
func ends(line string) bool {
	return line == "RDY" || line == "NORMAL POWER DOWN" || strings.HasPrefix(line, "UNDER_VOLTAGE POWER DOWN") ||
		strings.HasPrefix(line, "OVER_VOLTAGE POWER DOWN")
}
