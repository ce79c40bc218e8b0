// Package gsmnet is a net.Conn over the TCP/IP stack inside a Quectel GSM/GPRS module of the M series, driven by AT commands
// over a serial line.
//
// It brings a module from whatever state it is in to an IP address (Up), opens a TCP connection (DialContext), and carries it in
// command mode with buffered receive, in which the module can be asked at any time what the peer has acknowledged; or with pushed
// receive, or in transparent mode, where each such question interrupts the data (Config.Receive, Config.Mode). A Conn is a full net.Conn,
// and tells in addition how many of its bytes the peer's TCP has acknowledged (Acked, WaitAcked). UDP works too, except in transparent
// mode, and with it a time server as second clock beside the network's (Time).
//
// It promises that bytes arrive in order and whole or the connection ends with an error; that no acknowledgement of one connection
// counts for another; that a late answer of the module is never taken for the next one's; that deadlines and Close release their
// callers whatever the module does, and never tear what is on the wire; that a PIN which the SIM refused is never tried again
// (with Config.StateFile also not by the next process), never when it could be the last try, and a PUK never. Every failure has one
// Cause.
//
// It restarts a module that has to be restarted, when the next Up or DialContext finds it so, and never more often than the guide
// allows; and it finds one that is fixed at another speed, switches the radio off and on after a long search, and leaves one alone
// whose supply seems too weak (State.Alarm). It does not reconnect by itself, opens one connection at a time, and knows nothing of what it carries. It
// never logs: State, OnState, Stats and errors say what there is to say.
//
// All methods of Modem and Conn may be called concurrently. One goroutine owns a module's commands, connection, window and timers;
// package at adds one that turns bytes into tokens and one that writes.
//
// Protocol: the vendor's guide "GSM module TCPIP application process" V1.2, whose rules are cited as G2.1 to G9.4.
package gsmnet
