// Package plan predicts what readings cost before a box is sent out: bytes on the air in a month by cause, how long the queue
// holds out without coverage, and what is written to the flash.
//
// It assumes readings that come evenly, a network that is there, and connections lost as often as it is told; its constants
// are those that were measured (docs/performance.md). For single readings a minute and more apart the tests hold it to 5 % of what
// the simulated module puts on the air. It can't know how well readings compress: [Input.Shrink] says.
//
// Its function is pure.
package plan
