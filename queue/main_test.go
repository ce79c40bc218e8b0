package queue_test

import "os"

// long reports whether the long form of the random tests is asked for: FIELDPOST_LONG=1 makes them run for minutes, with
// at least 20000 crash images and 1000 rounds of kill -9.
func long() bool { return os.Getenv("FIELDPOST_LONG") != "" }
