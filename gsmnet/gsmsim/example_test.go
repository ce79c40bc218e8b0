package gsmsim_test

import (
	"bufio"
	"fmt"
	"io"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// A module on an in-memory serial line, asked for its signal once it has booted.
func Example() {
	module := gsmsim.New(gsmsim.Config{Baud: 115200, Timing: gsmsim.Timing{Boot: 1}})
	defer module.Close()
	line := module.Wire()
	lines := bufio.NewScanner(line)
	for lines.Scan() && lines.Text() != "Call Ready" {
	}
	io.WriteString(line, "ATE0;+CSQ\r")
	for lines.Scan() && lines.Text() != "OK" {
		if text := lines.Text(); text != "" {
			fmt.Printf("%q\n", text)
		}
	}
	// Output:
	// "ATE0;+CSQ\r"
	// "+CSQ: 21,0"
}
