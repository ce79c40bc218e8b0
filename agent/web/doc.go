// Package web shows how the agent stands: a status page for people, JSON and server-sent events for programs, metrics for
// Prometheus and two health checks.
//
//	GET /                       the page; works without JavaScript, updates itself with it
//	GET /api/v1/status          agent.Status
//	GET /api/v1/events          the same as server-sent events: at most one a second, on a change or every 5 s
//	POST /api/v1/actions/NAME   what the page has buttons for, only where a token is asked for
//	GET /metrics                Prometheus text format
//	GET /healthz                200 while the process works and its storage has not failed
//	GET /readyz                 200 while a session stands, or the agent has just started, and the disk takes readings
//
// It promises to change nothing but by those actions, which are done for requests that bring the token and don't come from
// another site. It answers only to names that were given to it
// (so that a foreign web site can't read the page by DNS rebinding), runs no script and no style but its own, loads
// nothing from elsewhere, and binds every client in time, size and number. Beyond the loopback interface it listens only
// with a token.
//
// It doesn't keep anything on disk: the charts begin with the agent. Commands use the control socket instead (package
// control).
//
// A Server is safe for concurrent use. Server-sent events are those of the HTML standard, section 9.2.
package web
