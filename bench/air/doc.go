// Air compares what the agent, mosquitto's bridge and the Paho client used plainly put on the air for the same messages:
// 100 random bytes of payload with a topic of 30 bytes at QoS 1, which are 137 bytes as MQTT, and sample readings of a station.
//
// Two network namespaces are joined by this program through two TUN devices: each IP packet between them passes here, is
// counted, paced to a GPRS link (24 kbit/s up, 36 down) and delayed (600 ms a round trip). TCP timestamps are off, as in a
// module's own TCP. A mosquitto at the far end is the cloud; agent and bridge take their readings over a local listener, Paho publishes
// by itself. There is no route out of either namespace. The peers run at the same time, each on a wire and with a cloud of its own.
//
// It needs root, iproute2 and mosquitto, and prints a JSON object a line, as scripts/bench does. A figure is bytes of IP packets,
// headers and acknowledgements included, both ways; its name ends in _tls under TLS 1.3.
//
//	single                  a reading, when they come one at a time
//	draining                a reading of a backlog of 400
//	ten                     the same, ten in each PUBLISH, not compressed
//	ten_deflate             the same with deflate, of random hexadecimal digits
//	batch                   a sample reading: the agent's in batches with deflate, those of the others plain
//	break_payload_vs_ideal  what is sent up above TCP when the broker is killed in the middle of a backlog and comes back, by the
//	                        backlog's PUBLISHes
//	ping                    what an idle connection costs with pings 30 s apart, by pings
//	tls_full, tls_resumed   a connection with a certificate of P-256, from SYN to goodbye, without readings
//
// FIGURE_vs_PEER is the agent's figure by the peer's; ten and ten_deflate stand beside the peer's draining.
package main
