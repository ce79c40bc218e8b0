// Package device puts one device together from its configuration: agent, queue, uplink, sources, status page, control socket and
// commands from afar, and what they remember over a restart. It is what "fieldpost run", the demo and the simulated field run.
//
// A Device promises that it is opened whole or not at all, stops within 10 s whatever state its link is in, saves what was learned
// and counted at a pace that spares flash, and takes a changed configuration while it runs as far as that goes.
//
// It reads no command line, prints nothing, and has no signals: those are the commands' (cmd/agent).
//
// New, Run and Close come one after the other; everything else may be called at any time in between.
package device
