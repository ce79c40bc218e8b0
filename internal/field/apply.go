package field

import (
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// begin lets a fault of the plan happen.
func (w *world) begin(place int, f Fault) error {
	if f.For > 0 {
		w.faults[place] = f
	}
	switch f.Kind {
	case NATForgets:
		w.module.ForgetNAT()
	case Context:
		w.module.DropContext()
	case ModuleBoots:
		w.module.Reboot()
	case Unplugged:
		w.setDark(true)
		w.module.Unplug()
	case SIMOut, OtherSIM:
		w.seat()
	case Purged:
		w.purge(w.random.IntN(len(w.sensors)))
	case Asked:
		if d := w.running(); d != nil {
			d.Reconnect()
		}
	case BrokerNew:
		w.cloud.forget()
	case BrokerCuts:
		w.cloud.cutSoon()
	case ModuleHangs:
		w.hang()
	case DiskFull:
		return w.fill(true)
	case Restarted:
		return w.restart()
	case PowerCut, ClockLost:
		return w.cut(true)
	case TornWrite:
		return w.cutInAWrite()
	case ClockLeaps:
		w.leap()
	case Killed:
		return w.cut(false)
	}
	w.settle()
	return nil
}

// end lifts a fault that lasts.
func (w *world) end(place int) error {
	f := w.faults[place]
	delete(w.faults, place)
	switch {
	case isCut(f.Kind) && !w.has(PowerCut, ClockLost, TornWrite):
		w.supply(true)
		w.powered(f.Kind == ClockLost)
		if !w.has(Killed) {
			return w.boot()
		}
	case f.Kind == Killed && !w.has(Killed, PowerCut, ClockLost, TornWrite):
		return w.boot()
	case f.Kind == ClockLeaps && !w.has(ClockLeaps):
		w.unleap()
	case f.Kind == DiskFull && !w.has(DiskFull):
		return w.fill(false)
	case f.Kind == Unplugged && !w.has(Unplugged):
		w.setDark(false)
	case f.Kind == SIMOut, f.Kind == OtherSIM:
		w.seat()
	}
	w.settle()
	return nil
}

// isCut reports whether the fault takes the box's power.
func isCut(k Kind) bool { return k == PowerCut || k == ClockLost || k == TornWrite }

func (w *world) setDark(dark bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dark = dark
}

// has reports whether a fault of this kind is on.
func (w *world) has(kinds ...Kind) bool {
	for _, f := range w.faults {
		for _, k := range kinds {
			if f.Kind == k {
				return true
			}
		}
	}
	return false
}

// settle puts what is a state rather than an event into the state that the faults which are on ask for, so that faults may
// overlap.
func (w *world) settle() {
	w.module.SetCoverage(!w.has(Coverage, AllGone))
	w.module.SetDenied(w.has(Denied))
	w.cloud.setDown(w.has(BrokerDown))
	w.cloud.setFull(w.has(BrokerFull))
	w.cloud.setStuck(w.has(BrokerStuck))

	radio := w.base.Radio
	if w.has(WeakRadio) {
		radio.Loss, radio.RTT, radio.Up = 0.15, radio.RTT+2*time.Second, max(300, radio.Up/4)
	}
	w.module.SetRadio(radio)

	faults := w.module.Faults()
	hung := faults.Hang
	faults = gsmsim.Faults{
		Hang:       w.has(ModuleHangs) && hung,
		FreezeAcks: w.has(AcksFreeze), DNSFails: w.has(NoName),
	}
	if w.has(SendsFail) {
		faults.FailSends = 3
	}
	if w.has(LostURCs) {
		faults.DropURCs = 20
	}
	if w.has(Noise) {
		faults.LoseByte, faults.DoubleByte, faults.FlipByte = 0.0005, 0.0005, 0.0005
	}
	w.module.SetFaults(faults)
}

// hang is apart from settle: a module that was restarted has stopped hanging, though the fault lasts.
func (w *world) hang() {
	faults := w.module.Faults()
	faults.Hang = true
	w.module.SetFaults(faults)
}

// calm ends all faults.
func (w *world) calm() error {
	for place := range w.faults {
		if err := w.end(place); err != nil {
			return err
		}
	}
	faults := w.module.Faults()
	faults.Hang = false
	w.module.SetFaults(faults)
	return nil
}
