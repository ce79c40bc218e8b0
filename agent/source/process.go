package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a program that runs in a process group of its own, so that
// whatever it has started ends with it.
type process struct {
	cmd    *exec.Cmd
	stdout *os.File
	errors *lastBytes
	ended  chan struct{} // closed when it has ended and is reaped
	err    error         // how; set before ended is closed

	mu     sync.Mutex
	reaped bool // guarded by mu: its number may belong to another process
}

// linger is how long output is read after the end of a process, of a child that
// has left its group and holds the pipe open.
const linger = 500 * time.Millisecond

// startProcess starts a program without a shell. It inherits neither secrets
// that stand in the agent's environment nor its standard input.
func startProcess(args []string) (*process, error) {
	out, outEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), stdout: out, errors: &lastBytes{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = outEnd, p.errors
	p.cmd.Env = harmless(os.Environ())
	p.cmd.Dir = "/"
	// If the agent is killed, the program goes with it: the one that is started next would find its device taken.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	p.cmd.WaitDelay = linger // for the copying of standard error
	started := make(chan error)
	go p.run(started) // ends with the process; whoever started it waits for ended
	err = <-started
	outEnd.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("source: can't start %s: %w", args[0], err)
	}
	return p, nil
}

// run starts the process and waits for its end. Both are done by one thread,
// which is kept for it: the kernel takes the end of the thread that has started
// a process for the death of its parent.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.reap()
	}
}

// harmless returns the variables that programs expect and that hold no secret.
func harmless(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return !slices.Contains([]string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}, name) && !strings.HasPrefix(name, "LC_")
	})
}

// reap waits for the end of the process, then ends what is left of its group.
// As long as the process is not reaped its number stands for nobody else.
func (p *process) reap() {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) // fails if nothing is left
	p.reaped = true
	p.mu.Unlock()
	p.err = p.cmd.Wait()
	_ = p.stdout.SetReadDeadline(time.Now().Add(linger))
	close(p.ended)
}

// kill ends the process and all of its group at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	}
}

// wait returns when the process has ended. What the kernel can't kill, since
// it waits for a disk that doesn't answer, is left behind when the agent stops.
func (p *process) wait(ctx context.Context) {
	select {
	case <-p.ended:
		return
	case <-ctx.Done():
	}
	select {
	case <-p.ended:
	case <-time.After(drainTimeout):
	}
}

// outcome says how the process has ended; nil if well.
func (p *process) outcome() error {
	var exit *exec.ExitError
	switch {
	case !isClosed(p.ended):
		return fmt.Errorf("source: %s can't be killed", p.cmd.Path)
	case p.err == nil, errors.Is(p.err, exec.ErrWaitDelay):
		return nil
	case errors.As(p.err, &exit) && exit.Success():
		return nil
	}
	text := fmt.Sprintf("source: %s ended with %v", p.cmd.Path, p.err)
	if said := p.errors.line(); said != "" {
		text += ": " + said
	}
	return errors.New(text)
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	mu   sync.Mutex
	tail []byte // guarded by mu
}

// maxSaid is what is kept of standard error: a line for the status.
const maxSaid = 512

func (l *lastBytes) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, b[max(0, len(b)-maxSaid):]...)
	if more := len(l.tail) - maxSaid; more > 0 {
		l.tail = slices.Delete(l.tail, 0, more)
	}
	return len(b), nil
}

// line returns the last line, fit for a terminal.
func (l *lastBytes) line() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := bytes.TrimSpace(l.tail)
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(text[:min(len(text), 200)]), "?"))
}
