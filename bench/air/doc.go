// Air compares what the agent, mosquitto's bridge and the Paho client used plainly put on the air for the same messages:
// 100 bytes of payload with a topic of 30 bytes at QoS 1, which are 137 bytes as MQTT.
//
// Two network namespaces are joined by this program through two TUN devices: each IP packet between them passes here, is
// counted, paced to a GPRS link (24 kbit/s up, 36 down) and delayed (600 ms a round trip). TCP timestamps are off, as in a
// module's own TCP. A mosquitto at the far end is the cloud; agent and bridge take their readings over a local listener, Paho publishes
// by itself. There is no route out of either namespace.
//
// It needs root, iproute2 and mosquitto, and prints a JSON object a line, as scripts/bench does.
package main
