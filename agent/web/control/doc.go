// Package control is the way by which commands reach the running agent on the same machine: HTTP over a unix socket in the
// agent's data directory, with a Server inside the agent and a Client inside the commands.
//
//	GET  /v1/status               agent.Status
//	GET  /v1/queue/stats          agent.QueueStatus
//	POST /v1/messages/{topic...}  one message, its payload is the body; query: qos, retain, lane
//	POST /v1/reconnect            connect now; answered with 202 at once
//	GET  /v1/modem                ModemInfo
//	POST /v1/modem/command        {"line": "AT+CSQ", "force": false}, answered with {"lines": [...]}
//	POST /v1/modem/restart        {"hard": false, "force": false}
//	GET  /v1/queue/messages       Listing; query: limit, and the filter: lane, topic, last
//	GET  /v1/queue/messages/{seq} one message with its whole payload
//	GET  /v1/queue/export         all messages, as JSON lines; the trailer Fieldpost-Result tells that they were all
//	POST /v1/queue/import         JSON lines of an export are the body; answered with events
//	POST /v1/queue/purge          query: dry_run, and the filter; answered with events
//
// Events are JSON lines {"done", "state", "error"}: how the work stands while it goes on, the last one with done.
//
// It promises that only the agent's own user (and root) can use the socket, that the socket which a dead agent left
// behind doesn't get in the way, that the socket of a living one is never taken over, and that a message is answered with
// 202 only after it is on disk. Everything that comes in is bounded; what may be long
// is streamed, only so much of it runs at a time, and an answer that was cut off is told from a whole one.
//
// It doesn't serve people: that is the status page's part, which never changes anything.
//
// Server and Client are safe for concurrent use. The protocol is HTTP/1.1 (RFC 9112) with JSON bodies; a failure is an
// Error in its JSON form.
package control
