// Package config reads the agent's configuration: a YAML file, overridden by
// environment variables, becomes one typed [Config] that is complete and
// checked.
//
// It promises that a mistake is found before the agent touches anything, that
// all mistakes of a file are told at once, and that each is told with its
// place (file, line, column, the line itself with a caret), what is wrong and
// what to do. An unknown key is a mistake; the nearest known one is named.
// Secrets are never printed: not by [Config.Show], not by a formatted
// [Secret], not by the quoted line of an error.
//
// Every key can be set from outside as FIELDPOST_SECTION_KEY: queue.max_bytes
// is FIELDPOST_QUEUE_MAX_BYTES, and that of the first element of a list that is
// in the file FIELDPOST_SOURCES_EXEC_0_INTERVAL. A value in the file may contain ${NAME}, which
// stands for the environment variable NAME. A secret is given by a file of its
// own (password_file), by ${NAME} or by its variable; written into the file
// itself it is refused.
//
// The package does not know what the values are used for: it opens no port and
// no connection, and reads no file but the configuration and those that it
// names as secrets or certificates. Anchors, tags and a second document are
// refused, because a configuration that must be executed to be understood
// can't be shown with a caret.
//
// A Config is not changed after [Load]; it may then be read from anywhere.
//
// Reference: YAML 1.2.2 for the syntax, MQTT 3.1.1 sections 1.5.3, 3.1.2.10 and
// 4.7 for what identifiers, keepalive and topics may be.
package config
