package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

const vectors = "../../agent/envelope/testdata/vectors/"

// runDecode runs the command in this process.
func runDecode(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := newDecode()
	cmd.SetContext(t.Context())
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&complaints)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.Execute()
	return out.String(), complaints.String(), err
}

func vector(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(vectors + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeReadsMessagesAsTheyWereCaptured(t *testing.T) {
	t.Parallel()
	batch, want := vector(t, "batch-deflate.bin"), vector(t, "batch-deflate.jsonl")
	url := strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(batch)), "=")
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"a file":                          {"", []string{vectors + "batch-deflate.bin"}, want},
		"several files":                   {"", []string{vectors + "batch-deflate.bin", vectors + "batch-regular.bin"}, want + vector(t, "batch-regular.jsonl")},
		"standard input":                  {batch, nil, want},
		"standard input, by name":         {batch, []string{"-", "--as", "raw"}, want},
		"hexadecimal":                     {hex.EncodeToString([]byte(batch)), nil, want},
		"hexadecimal, in capitals":        {strings.ToUpper(hex.EncodeToString([]byte(batch))) + "\r\n", []string{"--as", "hex"}, want},
		"base64":                          {base64.StdEncoding.EncodeToString([]byte(batch)) + "\n", nil, want},
		"base64 for URLs":                 {url, []string{"--as", "base64"}, want},
		"several lines with their topics": {fmt.Sprintf("\npump-07/batch %x\n\npump 7/batch %s\n", batch, url), nil, want + want},
	} {
		got, complaints, err := runDecode(t, tc.stdin, tc.args...)
		if err != nil || got != tc.want || complaints != "" {
			t.Errorf("%s: got %v, %s%s; want:\n%s", name, err, complaints, got, tc.want)
		}
	}
}

func TestDecodeTellsTheTopicOfASingleReading(t *testing.T) {
	t.Parallel()
	single := vector(t, "single.bin")
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"not known":   {single, nil, `"topic":null`},
		"by flag":     {single, []string{"--topic", "site/pressure"}, `"topic":"site/pressure"`},
		"on the line": {fmt.Sprintf("site/a b %x", single), []string{"--topic", "another"}, `"topic":"site/a b"`},
	} {
		if got, _, err := runDecode(t, tc.stdin, tc.args...); err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %v, %s; want %s", name, err, got, tc.want)
		}
	}
}

func TestDecodeSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	batch := vector(t, "batch-regular.bin")
	cut := batch[:len(batch)-10] + strings.Repeat("\x00", 10)
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string // of complaints and error
	}{
		"a cut one among others": {fmt.Sprintf("%x\n%x\n%x\n", batch, cut, batch), nil, "-:2: envelope: damaged: the checksum"},
		"how many":               {fmt.Sprintf("%x\n%x\n%x\n", batch, cut, batch), nil, "1 of 3 messages could not be read"},
		"a plain payload":        {`{"value":4.2}`, []string{"--as", "raw"}, "a plain payload?"},
		"a plain line":           {"site/pressure 4.2\n", nil, "neither a message in hexadecimal digits or base64"},
		"no hexadecimal":         {"fbx\n", []string{"--as", "hex"}, "hex"},
		"nothing":                {"", nil, "it is empty"},
		"another form":           {batch, []string{"--as", "octal"}, "use auto, raw, hex or base64"},
		"no such file":           {"", []string{"/nowhere/message"}, "no such file"},
		"no such dictionary":     {batch, []string{"--dictionary", "/nowhere/dictionary"}, "no such file"},
	} {
		got, complaints, err := runDecode(t, tc.stdin, tc.args...)
		if err == nil || !strings.Contains(complaints+fmt.Sprint(err), tc.want) {
			t.Errorf("%s: got %v, %s; want an error with %q", name, err, complaints, tc.want)
		}
		if name == "a cut one among others" && got != strings.Repeat(vector(t, "batch-regular.jsonl"), 2) {
			t.Errorf("%s: got\n%swant the two others", name, got)
		}
	}
}

func TestDecodeWithADictionaryOfOnesOwn(t *testing.T) {
	t.Parallel()
	path := writeFile(t, filepath.Join(t.TempDir(), "dictionary"), `{"druck":4.2,"einheit":"bar","ventil":"zu"}`)
	dictionary, err := envelope.LoadDictionary(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := envelope.NewEncoder(dictionary).Encode(envelope.Message{
		Device: "d", Readings: []envelope.Reading{{Seq: 1, Payload: []byte(`{"druck":4.3,"einheit":"bar","ventil":"auf"}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, complaints, err := runDecode(t, string(b)); err == nil || !strings.Contains(complaints, "--dictionary") {
		t.Errorf("without it: got %v, %q; want advice to give it", err, complaints)
	}
	if got, complaints, err := runDecode(t, string(b), "--dictionary", path); err != nil || !strings.Contains(got, `druck\":4.3`) {
		t.Errorf("with it: got %v, %s%s", err, complaints, got)
	}
	large := writeFile(t, filepath.Join(t.TempDir(), "large"), strings.Repeat("x", envelope.MaxDictionary+1))
	if _, _, err := runDecode(t, string(b), "--dictionary", large); err == nil || !strings.Contains(err.Error(), "at most 32768") {
		t.Errorf("a dictionary that is too large: got %v", err)
	}
}
