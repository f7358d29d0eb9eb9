package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// app is one run of the command: where it writes to, and the flags that every verb has.
type app struct {
	args   []string // the whole command line
	env    func(string) string
	stdout terminal
	stderr terminal

	json        bool
	socket      string
	config      string
	noAutostart bool
}

func newApp(args []string) *app {
	return &app{
		args:   args,
		env:    os.Getenv,
		stdout: newTerminal(os.Stdout, os.Getenv),
		stderr: newTerminal(os.Stderr, os.Getenv),
	}
}

// printJSON writes v as one line to stdout.
func (a *app) printJSON(v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return a.print(plainJSON(b.String()))
}

// plainJSON escapes what a terminal may take for more than text, and JSON's own encoding lets pass: DEL, the C1 controls (U+009B is
// another ESC [) and what strip drops too. Outside strings JSON has none of it.
func plainJSON(s string) string {
	if strip(s, true) == s {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || strip(string(r), true) == string(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// print writes s to stdout. What of s came from the daemon has been cleaned.
func (a *app) print(s string) error {
	_, err := io.WriteString(a.stdout, s)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return done{1} // whoever read our output has left, and needs no words about it
	default:
		return &api.Error{Code: api.CodeInternal, Message: fmt.Sprintf("write to standard output: %v", err), Hint: "what the command was for has been done"}
	}
}

// say tells people something that is not the answer. Where stderr cannot be written there is nobody to tell.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// warn is say for what went not quite as asked.
func (a *app) warn(text string) {
	a.say("%s %s", a.stderr.paint(yellow, "warning:"), clean(text))
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "brokerctl",
		Short: "Debug programs on other machines, with the debugger front end here",
		Long: `brokerctl opens debug sessions on hosts that ssh reaches. "open" ends with a port on 127.0.0.1 that any front end attaches
to: VS Code, dlv connect, chrome://inspect, jdb. "forward" keeps ports forwarded, as "ssh -L" does, for good. Sessions and forwards live
in a daemon, brokerd, which is started when it is needed.

Exit codes and error codes: brokerctl help errors`,
		Example: `  brokerctl open web1:python -- app.py     # start app.py on web1 under debugpy
  brokerctl list                           # what is open
  brokerctl close --all                    # end it, and leave nothing on web1
  brokerctl forward web1 -L 5432:db:5432   # port 5432 here is db's, as web1 reaches it`,
		Args: a.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SilenceUsage:      true, // an error is not drowned in the usage text
		SilenceErrors:     true, // finish prints them
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON: one document, or one object a line for streams")
	f.StringVar(&a.socket, "socket", "", "brokerd's socket `PATH` (else $BROKER_SOCKET, else in the state directory)")
	f.StringVar(&a.config, "config", "", "configuration `FILE` (else $BROKER_CONFIG)")
	f.BoolVar(&a.noAutostart, "no-autostart", false, "do not start brokerd when none answers")
	f.SortFlags = false

	root.SetOut(a.helpOutput())
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(a.flagError)
	root.SetHelpCommand(a.helpCommand())
	root.AddCommand(a.openCommand(), a.listCommand(), a.showCommand(), a.closeCommand(), a.extendCommand(), a.logsCommand(),
		a.eventsCommand(), a.ideCommand(), a.forwardCommand(), a.forwardsCommand(), a.unforwardCommand(), a.hostsCommand(), a.authCommand(),
		a.psCommand(), a.doctorCommand(), a.serviceCommand(), a.stopCommand(),
		a.versionCommand(), a.completionCommand())
	return root
}

// helpOutput is where help goes: stdout is only for JSON where JSON is asked for. What a shell asks for completion is about a command line,
// whose --json is not meant for the answer.
func (a *app) helpOutput() io.Writer {
	completing := len(a.args) > 0 && (a.args[0] == cobra.ShellCompRequestCmd || a.args[0] == cobra.ShellCompNoDescRequestCmd)
	if jsonAsked(a.args) && !completing {
		return a.stderr
	}
	return a.stdout
}
