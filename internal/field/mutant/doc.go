// Package mutant puts defects into the agent's source on purpose, to see whether the simulated field notices: a check that can't fail
// proves nothing.
//
// The defects stand in testdata, in files by the promise that they break. Each has a name, a line that says what goes wrong, and edits
// that look like a diff without line numbers: lines that begin with a space or "-" have to stand in the source, exactly once and one
// below the other, and those that begin with "+" take the place of those with "-":
//
//	=== released-early: a reading leaves the queue when it was sent
//	--- mqttconn/proof.go
//	 	case e.qos == 0:
//	-		return e.acked
//	+		return e.written
//
// The source itself is never changed: what is compiled is an overlay (go help build). An edit that doesn't fit any more is an error:
// then the source has moved on, and the defect has to be written anew, or has lost its meaning.
//
// The package does not judge; its long test runs the field and says what it found.
package mutant
