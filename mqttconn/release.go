package mqttconn

import "fmt"

// Release says which proof ends a [Receipt] without error. At QoS 0 it is always the acknowledged byte count, for there
// is no other; at QoS 2 always the PUBCOMP too, for the packet id is in use until then.
type Release uint8

const (
	// ReleaseProof wants both the acknowledged byte count and the broker's answer. When the broker has answered and the
	// count does not follow within [Config.AckedWait], the answer is enough, and [Stats.Contradictions] counts it.
	ReleaseProof Release = iota
	// ReleaseAcked wants the acknowledged byte count only; on a connection that has none it is ReleaseBroker.
	ReleaseAcked
	// ReleaseBroker wants the broker's answer only.
	ReleaseBroker
)

// releaseNames are the words of the configuration; QISACK is the module's command for the acknowledged count.
var releaseNames = [...]string{ReleaseProof: "proof", ReleaseAcked: "qisack", ReleaseBroker: "broker"}

func (r Release) String() string {
	if int(r) < len(releaseNames) {
		return releaseNames[r]
	}
	return fmt.Sprintf("release(%d)", uint8(r))
}

// ParseRelease reads "proof", "qisack" or "broker".
func ParseRelease(s string) (Release, error) {
	for r, name := range releaseNames {
		if s == name {
			return Release(r), nil
		}
	}
	return 0, fmt.Errorf("mqttconn: release %q does not exist: use proof, qisack or broker", s)
}
