// Package source takes readings in: from local senders, by MQTT ([MQTT]) and by
// HTTP ([HTTP]), and from what it reads by itself: programs ([Exec]), serial
// ports ([Serial]), sensors of the kernel ([Sysfs]), Modbus devices ([Modbus])
// and files ([Tail]).
//
// # Senders
//
// It promises that a sender hears yes (a PUBACK or PUBREC, a 202) only after
// the [Sink] has said that the reading is on disk, and that it hears yes for
// nothing else: a reading that is refused, or whose fate isn't known in time,
// gets no acknowledgement over MQTT, where the connection is closed so that
// the sender keeps it and tries again, and an error status over HTTP. What a
// broker would choke on (a wildcard, a control character, a payload above the
// limit) is refused here, where the sender can still be told.
//
// What a sender may meet:
//
//   - A reading may come twice when the connection ends between the commit and
//     the acknowledgement: the sender repeats it, with the DUP flag over MQTT,
//     and the flag alone doesn't tell whether the first one arrived. At QoS 2
//     a repetition is recognised as long as this process lives and the client
//     keeps its session (clean session off); after a restart of the agent the
//     session is gone, CONNACK says so, and a message that was in flight then
//     may be stored twice.
//   - Without a file of users, whoever reaches the listener may connect under
//     any client id and thereby end the connection of the one that had it.
//     With users, a client id belongs to the user that holds it.
//   - The QoS of an MQTT client governs how it hands its readings over, and
//     ends there: all of them travel on at the QoS of the configuration, since
//     even a sensor that doesn't wait for answers wants none lost on the air.
//   - Retained messages keep their flag on the way to the cloud; none is kept
//     here. Subscriptions are refused: this is a door, not a broker. The one
//     exception are the commands that [MQTT.Forward] passes on.
//   - When the agent stops, the wills of the clients are not sent: it is not
//     the sensors that went away.
//
// What senders hand over is not looked into. Only MQTT 3.1.1 is spoken.
//
// # What is read
//
// It promises that a source which fails says so in its status, tries again for
// as long as it runs, and takes down neither the others nor the process; that a
// line of a file is stored once, also across a crash, and a line of a program
// or a port waits until it is stored; that a program can neither outlive the
// source nor flood it. It doesn't promise that a port's line isn't lost while
// nothing can be stored, since the port doesn't wait, nor that a value which
// is read at an interval is: the next one is better.
//
// Nothing is written to a device but what asks it for its values.
//
// # For all
//
// Payloads are never logged.
//
// All exported methods may be called concurrently. A Sink is called
// concurrently, once for each sender at a time, so that a store may commit
// many readings in one go.
//
// Reference: MQTT Version 3.1.1 (OASIS); RFC 9110 for the status codes; MODBUS
// over Serial Line V1.02.
package source
