package sshconfig

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// matchHost tells whether the patterns of a Host line take the host in: one of them does, and none with a ! before it.
func matchHost(host string, patterns []string) bool {
	found := false
	for _, pattern := range patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !matchPattern(host, pattern) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// match evaluates a Match line (readconf.c, match_cfg_line). bad is what ssh would have against it; it then matches nothing.
func (n *native) match(ctx context.Context, args []string) (matches bool, bad string) {
	matches = true
	for i := 0; i < len(args); i++ {
		if strings.HasPrefix(args[i], "#") {
			break
		}
		attribute, negated := strings.CutPrefix(args[i], "!")
		attribute, value, joined := strings.Cut(attribute, "=")
		attribute = lower(attribute)
		switch attribute {
		case "all":
			if i > 1 || i+1 < len(args) {
				return false, "all stands beside other criteria"
			}
			return matches && !negated, ""
		case "final", "canonical":
			if attribute == "final" && !negated {
				n.wantFinal = true
			}
			matches = matches && n.final != negated
			continue
		}
		if !joined {
			if i++; i == len(args) {
				return false, attribute + " has no argument"
			}
			value = args[i]
		}
		if value == "" && attribute != "tagged" && attribute != "command" {
			return false, attribute + " has no argument"
		}
		if attribute == "exec" && !matches {
			continue // nothing is run in vain
		}
		holds, bad := n.criterion(ctx, attribute, value)
		if bad != "" {
			return false, bad
		}
		matches = matches && holds != negated
	}
	if len(args) == 0 {
		return false, "it has no criterion"
	}
	return matches, ""
}

// criterion evaluates one criterion that has an argument.
func (n *native) criterion(ctx context.Context, attribute, value string) (holds bool, bad string) {
	switch attribute {
	case "host":
		return matchHostList(n.hostName(), value), ""
	case "originalhost":
		return matchHostList(n.d.host, value), ""
	case "user":
		return matchList(n.user(), value), ""
	case "localuser":
		return matchList(n.account.name, value), ""
	case "tagged":
		return matchList(n.values.get("tag"), value), ""
	case "command": // there is none when the configuration is read
		return value == "", ""
	case "sessiontype":
		return matchList("shell", value), ""
	case "localnetwork":
		addresses, err := localAddresses()
		if err != nil {
			return false, err.Error()
		}
		if holds, err = matchNetworks(value, addresses); err != nil {
			return false, err.Error()
		}
		return holds, ""
	case "exec":
		return n.exec(ctx, n.tokens().percent(value))
	case "version":
		return false, "there is no ssh whose version it could be"
	}
	return false, fmt.Sprintf("the criterion %q is not known", attribute)
}

// exec runs a command by the user's shell, as ssh does (readconf.c, execute_in_shell), and tells whether it ends with 0.
func (n *native) exec(ctx context.Context, command string) (holds bool, bad string) {
	if !n.mayRun {
		return false, "no command is run here"
	}
	shell := n.env["SHELL"]
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, shell, "-c", command)
	cmd.Env = n.environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch state := cmd.ProcessState; {
	case ctx.Err() != nil:
		return false, "the command has not ended in time"
	case state == nil:
		return false, err.Error()
	case !state.Exited():
		return false, "the command ended by a signal"
	}
	return err == nil, ""
}
