package gsmsim

import (
	"slices"
	"strconv"
	"strings"
)

// dispatch does one command.
func (m *Module) dispatch(c command) result {
	named := func(name string) bool { return name == c.name || name == strings.TrimSpace(c.key()) }
	switch {
	case slices.ContainsFunc(m.cfg.Model.Refuses, named):
		return resError
	case slices.ContainsFunc(m.cfg.Model.Untold, named):
		return resOK
	}
	groups := []func(command) result{
		m.basicCommand, m.simCommand, m.networkCommand, m.stackCommand, m.socketCommand,
	}
	for _, group := range groups {
		if r := group(c); r.kind != unknown {
			return r
		}
	}
	return resError
}

// basicCommand answers the commands about the module and its serial line.
func (m *Module) basicCommand(c command) result {
	u := &m.uart
	switch c.key() {
	case "E ":
		return setSwitch(&u.echo, c)
	case "V ":
		return setSwitch(&u.verbose, c)
	case "&W ":
		if m.cfg.Model.NoSave {
			break
		}
		u.stored = u.settings
		if u.nextIPR != nil { // AT+IPR=115200&W: the change comes after the OK
			u.stored.ipr = *u.nextIPR
		}
	case "Z ":
		u.recall(u.stored)
	case "&F ":
		u.recall(factory)
	case "&C ", "&D ", "Q ", "S ", "X ", "H ":
	case "O ":
		return m.online()
	case "I ":
		m.info("Quectel_Ltd")
		m.info("Quectel_%s", m.cfg.Model.Name)
		m.info("Revision: %s", m.cfg.Model.Revision)
	case "+CGMI ", "+GMI ":
		m.info("Quectel_Ltd")
	case "+CGMM ", "+GMM ":
		m.info("Quectel_%s", m.cfg.Model.Name)
	case "+CGMR ", "+GMR ":
		m.info("Revision: %s", m.cfg.Model.Revision)
	case "+GSN ", "+CGSN ":
		m.info("%s", m.cfg.Model.IMEI)
	case "+CMEE=":
		return setInt(&u.cmee, c, 0, 2)
	case "+CMEE?":
		m.info("+CMEE: %d", u.cmee)
	case "+IPR=":
		return m.setSpeed(c)
	case "+IPR?":
		m.info("+IPR: %d", u.ipr)
	case "+IFC=", "+ICF=":
		return resOK
	case "+CBC ":
		m.info("+CBC: 0,75,3900")
	case "+QTEMP ":
		m.info("+QTEMP: 1,3900,27")
	case "+CPAS ":
		m.info("+CPAS: 0")
	case "+QPOWD=":
		return m.powerDown(c)
	case "+QOPS?":
		m.cfg.Faults.Hang = true // some M66 firmware needs a power cycle after it
		return resRunning
	default:
		return result{kind: unknown}
	}
	return resOK
}

// factory are the settings that AT&F brings back.
var factory = settings{echo: true, verbose: true}

// recall takes stored settings into use, but not their speed: modules differ there, and those
// that keep it lose nobody.
func (u *uart) recall(s settings) {
	s.ipr = u.ipr
	u.settings = s
}

// setSwitch sets a basic command's 0 or 1; no number means 0.
func setSwitch(p *bool, c command) result {
	switch c.arg(0) {
	case "", "0":
		*p = false
	case "1":
		*p = true
	default:
		return resError
	}
	return resOK
}

// setSpeed answers AT+IPR. The OK leaves at the old speed.
func (m *Module) setSpeed(c command) result {
	n, err := strconv.Atoi(c.arg(0))
	if err != nil || n != 0 && !slices.Contains(fixedSpeeds, n) {
		return resCME(cmeBadParameters)
	}
	u := &m.uart
	u.nextIPR = &n
	m.then(func() {
		m.line.whenSent(func() {
			u.nextIPR = nil
			if u.ipr = n; n == 0 {
				u.synced, u.misses = false, 0
			}
		})
	})
	return resOK
}

// powerDown answers AT+QPOWD: in an orderly way, with NORMAL POWER DOWN as the only answer, or
// at once.
func (m *Module) powerDown(c command) result {
	switch c.arg(0) {
	case "1":
		m.logOff()
		return resSilent
	case "0":
		m.then(func() { m.line.whenSent(m.switchOff) })
		return resOK
	}
	return resError
}
