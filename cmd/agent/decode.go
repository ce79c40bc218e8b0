package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// How a captured message can be written down.
const (
	captureAuto   = "auto"
	captureRaw    = "raw"
	captureHex    = "hex"
	captureBase64 = "base64"
)

// maxCapture is the longest message that is read: as hexadecimal digits, with room for a topic.
const maxCapture = 2*envelope.MaxBody + 1<<17

func newDecode() *cobra.Command {
	d := decoding{}
	var dictionaries []string
	cmd := &cobra.Command{
		Use:   "decode [FILE|-]...",
		Short: "Turn captured messages back into readings, as JSON lines",
		Long: `Turns messages that were published with encoding.format envelope or batch back into readings: one JSON object a line.

A FILE, or standard input, holds either the payload of one message as it is, or a message a line as hexadecimal digits or
in base64, with the topic and a space before it if you like:

  mosquitto_sub -h broker.example -t '+/batch' -F '%t %x' | fieldpost decode

Exit code 1: some of it could not be read; the rest was.`,
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			var known []*envelope.Dictionary
			for _, path := range dictionaries {
				dictionary, err := envelope.LoadDictionary(path)
				if err != nil {
					return err
				}
				known = append(known, dictionary)
			}
			d.decoder = envelope.NewDecoder(known...)
			d.out, d.complain = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.all(cmd, args)
		}),
	}
	cmd.Flags().StringVar(&d.form, "as", captureAuto, "how the messages are written: auto, raw, hex or base64")
	cmd.Flags().StringVar(&d.topic, "topic", "", "topic that they were published to, where it isn't beside them")
	cmd.Flags().StringArrayVar(&dictionaries, "dictionary", nil, "`FILE` that the device has as encoding.dictionary_file; may be given again")
	return cmd
}

// decoding is one run of the command.
type decoding struct {
	form, topic   string
	decoder       *envelope.Decoder
	out, complain io.Writer
	read, failed  int
}

func (d *decoding) all(cmd *cobra.Command, names []string) error {
	switch d.form {
	case captureAuto, captureRaw, captureHex, captureBase64:
	default:
		return &exitError{exitUsage, fmt.Errorf("--as %s: use auto, raw, hex or base64", d.form)}
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		var in io.Reader
		if name == "-" {
			in = interruptible(cmd.Context(), cmd.InOrStdin())
		} else {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		if err := d.file(name, bufio.NewReader(in)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if d.failed > 0 {
		return fmt.Errorf("%d of %s could not be read", d.failed, messages(d.read))
	}
	return nil
}

// file reads one payload as it is, or a message a line.
func (d *decoding) file(name string, in *bufio.Reader) error {
	head, err := in.Peek(1)
	if err == io.EOF {
		return errors.New("it is empty")
	}
	if err != nil {
		return err
	}
	if d.form == captureRaw || d.form == captureAuto && envelope.Is(head) {
		b, err := io.ReadAll(io.LimitReader(in, maxCapture))
		if err != nil {
			return err
		}
		return d.message(name, d.topic, b)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxCapture)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		topic, b, err := d.line(string(line))
		where := fmt.Sprintf("%s:%d", name, n)
		if err != nil {
			d.fail(where, err)
		} else if err := d.message(where, topic, b); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line is longer than any message: %d bytes", maxCapture)
	}
	return lines.Err()
}

// line takes a line apart: the topic, if it is there, and the message behind the last space.
func (d *decoding) line(text string) (topic string, b []byte, err error) {
	topic = d.topic
	if at := strings.LastIndexByte(text, ' '); at >= 0 {
		topic, text = text[:at], text[at+1:]
	}
	// An envelope begins with fb in hexadecimal digits, with + or, in URLs, - in base64: so they are easily told apart.
	if d.form == captureHex || d.form == captureAuto && !strings.HasPrefix(text, "+") && !strings.HasPrefix(text, "-") {
		if b, err = hex.DecodeString(text); err != nil && d.form == captureAuto {
			err = errors.New("neither a message in hexadecimal digits or base64, nor the payload of one")
		}
		return topic, b, err
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	b, err = base64.RawStdEncoding.DecodeString(text)
	return topic, b, err
}

// message writes the readings of a message; one that can't be read is complained of and counted.
func (d *decoding) message(where, topic string, b []byte) error {
	m, err := d.decoder.Decode(b)
	if err != nil {
		if errors.Is(err, envelope.ErrDictionary) {
			err = fmt.Errorf("%w: give it with --dictionary", err)
		}
		d.fail(where, err)
		return nil
	}
	d.read++
	encoder := json.NewEncoder(d.out)
	for _, l := range m.Lines(topic) {
		if err := encoder.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoding) fail(where string, err error) {
	d.read++
	d.failed++
	fmt.Fprintf(d.complain, "%s: %v\n", where, err)
}
