package envelope_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

const vectorsDir = "testdata/vectors"

// lines is a message as JSON lines.
func lines(t *testing.T, m envelope.Message) string {
	t.Helper()
	var out bytes.Buffer
	for _, l := range m.Lines("") {
		if err := json.NewEncoder(&out).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// vectors are the messages of the documentation: NAME.bin with the readings in NAME.jsonl.
func vectors() map[string]struct {
	message    envelope.Message
	dictionary *envelope.Dictionary
} {
	type vector = struct {
		message    envelope.Message
		dictionary *envelope.Dictionary
	}
	s := samples()
	return map[string]vector{
		"single": {s["single"], nil}, "single-binary": {s["single-binary"], nil},
		"batch-regular": {s["batch-regular"], nil}, "batch-mixed": {s["batch-mixed"], nil},
		"batch-deflate": {s["batch-mixed"], envelope.Builtin()},
	}
}

// What this version once has written is read for ever, and it goes on writing it: FIELDPOST_WRITE_SAMPLE=1 writes the files
// anew, which is right only for a new version of the format, beside the old ones.
func TestVectors(t *testing.T) {
	for name, v := range vectors() {
		b, err := envelope.NewEncoder(v.dictionary).Encode(v.message)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(vectorsDir, name)
		if os.Getenv("FIELDPOST_WRITE_SAMPLE") != "" {
			if err := os.WriteFile(path+".bin", b, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".jsonl", []byte(lines(t, v.message)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		m, err := envelope.NewDecoder().Decode(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := os.ReadFile(path + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), lines(t, m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if v.dictionary == nil && !bytes.Equal(b, stored) { // the compressed form may change with the Go library
			t.Errorf("%s is written as\n%x, was\n%x", name, b, stored)
		}
	}
}

// The dictionary is part of the format: a change of its bytes would leave receivers behind.
func TestTheBuiltinDictionaryStays(t *testing.T) {
	if got, want := envelope.Builtin().ID().String(), "199ad3ba"; got != want {
		t.Errorf("the built-in dictionary is %s, want %s: add another one instead of changing it", got, want)
	}
}

// The reader in the documentation, in another language, reads all of it too.
func TestReaderInPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the reader in docs/message-format.py is not tested here")
	}
	read := func(name string) (string, error) {
		cmd := exec.CommandContext(t.Context(), python, "../../docs/message-format.py", "dictionary.txt", name)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		return string(out) + stderr.String(), err
	}
	for name := range vectors() {
		path := filepath.Join(vectorsDir, name)
		got, err := read(path + ".bin")
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, got)
			continue
		}
		want, err := os.ReadFile(path + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(objects(t, string(want)), objects(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	b, err := os.ReadFile(filepath.Join(vectorsDir, "batch-mixed.bin"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.bin")
	if err := os.WriteFile(cut, append(b[:len(b)/2], make([]byte, len(b)-len(b)/2)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := read(cut); err == nil || !strings.Contains(got, "checksum") {
		t.Errorf("a message that was cut and filled up: got %v, %q; want a complaint about the checksum", err, got)
	}
}

// objects parses JSON lines, in which the order of keys and the way to escape don't matter.
func objects(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, o)
	}
	return list
}

// The page about the format shows the vectors as they are, and names all of them.
func TestDocumentedVectors(t *testing.T) {
	page, err := os.ReadFile("../../docs/message-format.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range vectors() {
		if !strings.Contains(string(page), "`"+name+".bin`") {
			t.Errorf("docs/message-format.md doesn't name %s.bin", name)
		}
	}
	if id := envelope.Builtin().ID().String(); !strings.Contains(string(page), id) {
		t.Errorf("docs/message-format.md doesn't name the dictionary %s", id)
	}
	_, dump, _ := strings.Cut(string(page), "byte by byte:")
	_, dump, _ = strings.Cut(dump, "```\n")
	dump, _, _ = strings.Cut(dump, "```")
	var digits string
	for line := range strings.Lines(dump) {
		digits += strings.ReplaceAll(strings.TrimSpace(line[:min(25, len(line))]), " ", "")
	}
	want, err := os.ReadFile(filepath.Join(vectorsDir, "batch-regular.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(want); digits != got {
		t.Errorf("docs/message-format.md shows batch-regular.bin as\n%s, it is\n%s", digits, got)
	}
}
