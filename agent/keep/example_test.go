package keep_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fieldpost/fieldpost/agent/keep"
)

func Example() {
	dir, err := os.MkdirTemp("", "keep")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pings")

	pings := map[string]int{}
	if err := keep.Load(path, &pings); err != nil {
		fmt.Println(err) // it is learned anew
	}
	pings["CMNET"]++
	if err := keep.Save(path, pings); err != nil {
		fmt.Println(err)
	}
	content, err := os.ReadFile(path)
	fmt.Printf("%s%v\n", content, err)
	// Output:
	// {"CMNET":1}
	// 03733c4a
	// <nil>
}
