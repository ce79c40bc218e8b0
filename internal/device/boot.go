package device

import (
	"os"
	"strings"
)

// bootName tells the boots of this machine apart in eight characters; "" if the system has no name for them.
func bootName() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	name, _, _ := strings.Cut(string(id), "-")
	if err != nil || len(name) != 8 {
		return ""
	}
	return name
}
