package main

import (
	"os"

	"golang.org/x/term"
)

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// isLive tells whether something can be drawn over on f.
func isLive(f *os.File) bool { return isTerminal(f) && os.Getenv("TERM") != "dumb" }

// screenOf is the size of a terminal; 80 by 24 where it doesn't know.
func screenOf(f *os.File) (columns, lines int) {
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 || lines <= 0 {
		return 80, 24
	}
	return columns, lines
}
