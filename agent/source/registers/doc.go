// Package registers knows what Modbus devices keep in their registers: it
// groups those that are wanted into few requests, and turns the words of an
// answer into values.
//
// It promises that a plan reads every register once, stays within what one
// request may ask for, and never asks for a register between two wanted ones
// that lie more than [MaxGap] apart: some devices refuse a whole request over
// one register that they don't have. It does not talk to anything.
//
// Everything may be used concurrently.
//
// Reference: MODBUS Application Protocol Specification V1.1b3, sections 4.3 and 6.
package registers
