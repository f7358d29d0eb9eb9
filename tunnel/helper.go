package tunnel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// helperGrace is how long a program of the user's configuration may take to end by itself, and after each signal.
	helperGrace  = 500 * time.Millisecond
	maxHelperLog = 100     // lines of a helper's standard error that are logged
	helperTail   = 2 << 10 // bytes of it that are kept for an error
)

// helper is a program that the user's ssh configuration names. It has a process group of its own, which end ends. Its standard error is logged, and
// its last words are kept.
type helper struct {
	cmd    *exec.Cmd
	stderr *os.File
	log    hclog.Logger

	once   sync.Once
	ended  chan struct{} // closed once it is gone and exit is set
	exit   Exit
	silent chan struct{} // closed once its standard error has been read to its end

	mu   sync.Mutex
	tail []byte
}

// startHelper starts cmd, whose standard input and output are set. end must be called.
func startHelper(cmd *exec.Cmd, what string, log hclog.Logger) (*helper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer w.Close()
	cmd.Stderr = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	h := &helper{cmd: cmd, stderr: r, log: log.With("program", what), ended: make(chan struct{}), silent: make(chan struct{})}
	go h.listen()
	return h, nil
}

func (h *helper) listen() {
	defer close(h.silent)
	logged := 0
	buffer := make([]byte, 4<<10)
	for {
		n, err := h.stderr.Read(buffer)
		if n > 0 {
			h.mu.Lock()
			h.tail = append(h.tail, buffer[:n]...)
			if over := len(h.tail) - helperTail; over > 0 {
				h.tail = append(h.tail[:0], h.tail[over:]...)
			}
			h.mu.Unlock()
			for line := range strings.Lines(string(buffer[:n])) {
				if logged++; logged <= maxHelperLog {
					h.log.Debug("stderr", "text", cleanText(line, maxErrorText))
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// end ends the program and waits until it is gone: nothing of its group is left. patient leaves it a moment to end by itself. However often end is
// called, it is done once.
func (h *helper) end(patient bool) {
	h.once.Do(func() { go h.finish(patient) })
	<-h.ended
}

func (h *helper) finish(patient bool) {
	defer close(h.ended)
	gone := make(chan struct{})
	go func() {
		h.exit, _ = waitChild(h.cmd)
		close(gone)
	}()
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGKILL}
	if patient {
		signals = append([]syscall.Signal{0}, signals...)
	}
	for _, s := range signals {
		if s != 0 {
			_ = syscall.Kill(-h.cmd.Process.Pid, s)
		}
		select {
		case <-gone:
		case <-time.After(helperGrace):
			continue
		}
		break
	}
	<-gone
	_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL) // who is left of the group
	select {
	case <-h.silent: // it may have said why
	case <-time.After(helperGrace): // one that has left the group has the pipe still
	}
	h.stderr.Close()
	<-h.silent
}

// story tells how the program has ended, and its last words. It must have been ended.
func (h *helper) story() string {
	<-h.ended
	how := fmt.Sprintf("ended with exit status %d", h.exit.Code)
	if h.exit.Signal != "" {
		how = "was ended by signal " + h.exit.Signal
	}
	h.mu.Lock()
	said := cleanText(string(h.tail), maxErrorText)
	h.mu.Unlock()
	if said != "" {
		how += ": " + said
	}
	return how
}

// splitArguments splits a command line as ssh does (misc.c, argv_split): by blanks, with quotes and some escapes, and nothing else of a shell's.
func splitArguments(line string) ([]string, error) {
	var list []string
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		var word strings.Builder
		quote := byte(0)
		for ; i < len(line); i++ {
			c := line[i]
			next := byte(0)
			if i+1 < len(line) {
				next = line[i+1]
			}
			switch {
			case c == '\\' && (next == '\'' || next == '"' || next == '\\' || quote == 0 && next == ' '):
				word.WriteByte(next)
				i++
				continue
			case quote == 0 && (c == ' ' || c == '\t'):
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
				continue
			case quote != 0 && c == quote:
				quote = 0
				continue
			default:
				word.WriteByte(c)
				continue
			}
			break
		}
		if quote != 0 {
			return nil, errors.New("it has a quote without its end")
		}
		list = append(list, word.String())
	}
	return list, nil
}
