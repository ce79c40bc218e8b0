// Package sysfs reads the sensors that the Linux kernel shows as files: 1-wire
// thermometers, hardware monitors (hwmon), industrial inputs (iio), and any
// other file that holds one number.
//
// It promises values in plain units (°C, V, A, W, J, %, rpm; what else iio has
// keeps the unit of the kernel's ABI), that a sensor which can't be read doesn't
// keep the others back, and that what a thermometer says before it has measured
// (85 °C), or with a wrong checksum, is not taken for a value. Sensors are looked
// up at each reading, so that they may come and go.
//
// It writes nothing, and has no memory between two readings. Everything may be
// used concurrently.
//
// Reference: the kernel's Documentation: hwmon/sysfs-interface,
// w1/slaves/w1_therm, and ABI/testing/sysfs-bus-iio.
package sysfs
