package gsmsim

import "strings"

// Faults are what goes wrong. The zero value is a module in good health. All can be changed while
// the module runs; those that count down show what is left.
type Faults struct {
	Hang bool `json:"hang"` // no answer to anything until the module is switched off

	HoldFlow bool `json:"hold_flow"` // the module takes no byte: the host's writes block, as with CTS off

	LoseByte   float64 `json:"lose_byte"`   // share of bytes lost on the serial line, each way
	DoubleByte float64 `json:"double_byte"` // share of bytes that come twice
	FlipByte   float64 `json:"flip_byte"`   // share of bytes with a flipped bit

	URCInReply bool   `json:"urc_in_reply"` // a URC that comes while a command runs is put into its reply
	DropURCs   int    `json:"drop_urcs"`    // so many URCs are lost
	DropURC    string `json:"drop_urc"`     // of those that begin so, "" for any: "+QIRDI"

	FreezeAcks    bool `json:"freeze_acks"`     // AT+QISACK's figures stop moving, and the window fills
	FailSends     int  `json:"fail_sends"`      // so many AT+QISEND end in SEND FAIL
	NoPrompt      int  `json:"no_prompt"`       // so many AT+QISEND get no answer at all
	FailReads     int  `json:"fail_reads"`      // so many AT+QIRD end in ERROR
	CutAfterSends int  `json:"cut_after_sends"` // each connection is reset after so many AT+QISEND

	ResetAfterSends int `json:"reset_after_sends"` // a brown-out resets the module at the n-th AT+QISEND since it booted

	StickActivate   bool `json:"stick_activate"`   // AT+QIACT never answers, the state stays IP IND
	RefuseActivate  bool `json:"refuse_activate"`  // AT+QIACT ends in ERROR
	StickDeactivate bool `json:"stick_deactivate"` // AT+QIDEACT never answers
	StickConnect    bool `json:"stick_connect"`    // AT+QIOPEN never connects
	SlowClose       bool `json:"slow_close"`       // AT+QICLOSE takes two minutes
	DNSFails        bool `json:"dns_fails"`        // no name has an address
	DNSSilent       bool `json:"dns_silent"`       // the name server does not answer
}

// dropsURC tells whether a URC is to be lost.
func (f *Faults) dropsURC(text string) bool {
	if f.DropURCs <= 0 || !strings.HasPrefix(text, f.DropURC) {
		return false
	}
	f.DropURCs--
	return true
}

// SetFaults replaces the faults.
func (m *Module) SetFaults(f Faults) {
	m.do(func() {
		m.cfg.Faults = f
		m.line.gate(f.HoldFlow)
	})
}

// Faults returns the faults as they stand.
func (m *Module) Faults() Faults {
	var f Faults
	m.do(func() { f = m.cfg.Faults })
	return f
}

// URC sends any unsolicited line at once, such as RING or +CMTI: "SM",1.
func (m *Module) URC(text string) { m.do(func() { m.urc(text) }) }
