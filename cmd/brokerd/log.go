package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/debugbroker/debugbroker/broker/api"
)

// The log file never takes more than logMegabytes * (logBackups + 1).
const (
	logMegabytes = 10
	logBackups   = 2
)

// logOptions tell where the log goes and how it looks.
type logOptions struct {
	StateDir   string
	Level      string // trace, debug, info, warn, error
	JSON       bool
	Foreground bool // --foreground: to stderr, for a person
	Service    bool // --service: in the file, where every hint says that it is
	Stderr     *os.File
	Getenv     func(string) string
}

// newLogger returns the daemon's logger, and what must be closed after its last line. It writes to brokerd.log in the state directory,
// which must be there; but to stderr in the foreground, and under a service manager, which keeps logs itself, unless brokerctl set
// the service up: then users are told to look into that file.
func newLogger(o logOptions) (hclog.Logger, io.Closer, error) {
	level := hclog.LevelFromString(o.Level)
	if level == hclog.NoLevel {
		return nil, nil, &api.Error{Code: api.CodeConfig, Message: fmt.Sprintf("log level %q is none", o.Level), Hint: "one of trace, debug, info, warn, error, off"}
	}
	var out io.Writer = o.Stderr
	var closer io.Closer = io.NopCloser(nil)
	if !o.Foreground && (o.Service || !underManager(o.Getenv, o.Stderr)) {
		f, err := openLogFile(filepath.Join(o.StateDir, api.LogName))
		if err != nil {
			return nil, nil, err
		}
		out, closer = f, f
	}
	return hclog.New(&hclog.LoggerOptions{Name: "brokerd", Level: level, Output: out, JSONFormat: o.JSON}), closer, nil
}

// openLogFile returns the rotating file. lumberjack follows links and keeps the mode of what it finds, so that is looked at first;
// nobody else can change it later, since the directory is ours alone.
func openLogFile(path string) (*lumberjack.Logger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		if info, serr := os.Lstat(path); serr == nil && !info.Mode().IsRegular() {
			return nil, notALog(path, info)
		}
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, notALog(path, info)
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &lumberjack.Logger{Filename: path, MaxSize: logMegabytes, MaxBackups: logBackups}, nil
}

func notALog(path string, info fs.FileInfo) error {
	return &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("log %s is not a file (%v)", path, info.Mode().Type()), Hint: "move it away"}
}

// underManager tells whether a service manager started us and keeps what we write to stderr.
func underManager(getenv func(string) string, stderr *os.File) bool {
	// systemd: JOURNAL_STREAM is the device and inode of the stream it gave us (systemd.exec(5)). It is inherited by everything
	// below a service, a user's terminal on many desktops included, so it must match, and INVOCATION_ID says nothing without it.
	if stream := getenv("JOURNAL_STREAM"); stream != "" {
		return stream == streamID(stderr)
	}
	// A unit that sends stderr elsewhere than to the journal has no JOURNAL_STREAM. SYSTEMD_EXEC_PID tells that it is us whom
	// systemd started, and not something below us.
	if getenv("INVOCATION_ID") != "" && getenv("SYSTEMD_EXEC_PID") == fmt.Sprint(os.Getpid()) {
		return true
	}
	// launchd: the label of the job. A terminal's programs have "0", or application.…: neither is a job of ours.
	label := getenv("XPC_SERVICE_NAME")
	return label != "" && label != "0" && !strings.HasPrefix(label, "application.")
}

// streamID is a file's device and inode as JOURNAL_STREAM spells them.
func streamID(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
