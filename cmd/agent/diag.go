package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
)

func newDiag() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "diag [FILE]",
		Short: "Write one file with what a person far away needs to help",
		Long: `Writes a tar.gz with the configuration in force, status, queue, outages, the last lines of the log, what the module
says of itself, the doctor's view of the running agent, and the versions. Secrets are masked, the SIM's number is
shortened, and no reading is in it; topics are. FILE is fieldpost-diag-DEVICE-TIME.tar.gz unless given, - is standard
output. It changes nothing and takes seconds.

What can't be had is left out, and the file says why. Exit code 1: the file can't be written.`,
		Args: cobra.MaximumNArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			d := gather(cmd.Context(), path)
			name := "fieldpost-diag-" + d.device + "-" + d.at.Format("20060102-150405") + ".tar.gz"
			if len(args) == 1 {
				name = args[0]
			}
			if name == "-" {
				return d.write(cmd.OutOrStdout())
			}
			file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("diag: %w", err)
			}
			if err := errors.Join(d.write(file), file.Close()); err != nil {
				return fmt.Errorf("diag: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: look into it before you pass it on (tar xzf), it names your topics and addresses\n", name)
			return nil
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

// diagnosis is the support file before it is written.
type diagnosis struct {
	at      time.Time
	device  string
	secrets []string
	files   []diagFile
}

type diagFile struct {
	name string
	text []byte
}

// add puts a file in, or the reason why it is missing.
func (d *diagnosis) add(name string, text []byte, err error) {
	if err != nil {
		name, text = name+".missing", []byte(err.Error()+"\n")
	}
	d.files = append(d.files, diagFile{name, text})
}

// addJSON is add for a value.
func (d *diagnosis) addJSON(name string, v any, err error) {
	var text []byte
	if err == nil {
		text, err = json.MarshalIndent(v, "", "  ")
	}
	d.add(name, append(text, '\n'), err)
}

// gather collects all that can be had. Nothing in it waits long.
func gather(ctx context.Context, path string) *diagnosis {
	d := &diagnosis{at: time.Now().Truncate(time.Second), device: "unknown"}
	d.addJSON("version.json", map[string]any{
		"schema": 1, "version": version, "revision": nullable(buildRevision()), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		"time": d.at,
	}, nil)
	d.system()
	ports, err := gsmnet.Ports()
	if err == nil {
		var text bytes.Buffer
		err = portsJSON(&text, ports)
		d.add("ports.json", text.Bytes(), err)
	} else {
		d.add("ports.json", nil, err)
	}
	cfg, err := loadConfig(path)
	if err != nil { // what is wrong with it is what a person has to know
		d.add("config.yaml", nil, err)
		return d
	}
	d.device, d.secrets = cfg.Device, cfg.Secrets()
	d.add("config.yaml", cfg.Show(), nil)
	d.dataDir(cfg)
	st, err := status(ctx, setup{Config: cfg})
	d.addJSON("status.json", st, err)
	if err == nil {
		var text bytes.Buffer
		printStatus(&text, st)
		d.add("status.txt", text.Bytes(), nil)
		d.addJSON("queue.json", st.Queue, nil)
		d.addJSON("outages.json", st.Outages, nil)
	}
	d.running(ctx, cfg)
	return d
}

// running asks the agent for what only it knows.
func (d *diagnosis) running(ctx context.Context, cfg *config.Config) {
	ctx, cancel := context.WithTimeout(ctx, 3*askWithin)
	defer cancel()
	client := control.NewClient(cfg.ControlSocket())
	logged, err := client.Log(ctx)
	d.add("log.jsonl", []byte(strings.Join(logged.Lines, "\n")+"\n"), err)
	info, infoErr := client.ModemInfo(ctx)
	if infoErr == nil {
		info.ICCID, info.IMEI = shortened(info.ICCID, shortICCID), shortened(info.IMEI, shortIMEI)
	}
	d.addJSON("modem.json", info, infoErr)
	r := &report{}
	st, err := client.Status(ctx)
	if err == nil {
		known := &info
		if infoErr != nil {
			known = nil
		}
		agentChecks(r, st, known)
	}
	d.addJSON("doctor.json", r.checks, err)
}

func shortened(s *string, how func(string) string) *string {
	if s == nil {
		return nil
	}
	short := how(*s)
	return &short
}

// shortIMEI leaves the type of the module: the first eight digits (3GPP TS 23.003, 6.2.1).
func shortIMEI(s string) string {
	if len(s) < 8 {
		return s
	}
	return s[:8] + "…"
}

// system adds what the machine says of itself.
func (d *diagnosis) system() {
	for _, path := range []string{"/proc/sys/kernel/osrelease", "/proc/uptime", "/proc/meminfo", "/proc/loadavg", "/etc/os-release"} {
		text, err := os.ReadFile(path)
		d.add("system/"+filepath.Base(path)+".txt", text, err)
	}
}

// dataDir tells of the agent's folder how much room there is, and names, sizes, modes and times; no content.
func (d *diagnosis) dataDir(cfg *config.Config) {
	var text bytes.Buffer
	var room unix.Statfs_t
	if err := unix.Statfs(cfg.DataDir, &room); err == nil {
		fmt.Fprintf(&text, "%s free of %s\n", disk(room.Bavail*uint64(room.Bsize)), disk(room.Blocks*uint64(room.Bsize)))
	}
	err := filepath.WalkDir(cfg.DataDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprintf(&text, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().Format(time.RFC3339), path)
		}
		return nil
	})
	d.add("data_dir.txt", text.Bytes(), err)
}

// write makes the archive. Each text goes through mask, whatever it is.
func (d *diagnosis) write(out io.Writer) error {
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	folder := "fieldpost-diag-" + d.device + "/"
	for _, f := range d.files {
		text := d.mask(f.text)
		header := &tar.Header{Name: folder + f.name, Mode: 0o600, Size: int64(len(text)), ModTime: d.at, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zip.Close())
}

// mask replaces every secret of the configuration, as it is and as JSON writes it. Nothing is meant to carry one: this is
// for what nobody has thought of.
func (d *diagnosis) mask(text []byte) []byte {
	for _, secret := range d.secrets {
		forms := []string{secret}
		if strings.Trim(secret, "0123456789") == "" { // a PIN: the same digits in a count are none
			forms = []string{`"` + secret + `"`, "=" + secret}
		}
		for _, form := range forms {
			text = bytes.ReplaceAll(text, []byte(form), []byte("********"))
			if quoted, err := json.Marshal(form); err == nil {
				text = bytes.ReplaceAll(text, quoted[1:len(quoted)-1], []byte("********"))
			}
		}
	}
	return text
}
