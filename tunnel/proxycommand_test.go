package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// overBash is a ProxyCommand that reaches the port of a hop.
func overBash(hop Hop) string {
	return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3; kill $!'`, hop.Port)
}

// gone waits until a process has been reaped.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for syscall.Kill(pid, 0) == nil {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// runningIn are the processes of a group that run. Those that nobody waits for, as their parents have ended before them, are another's affair.
func runningIn(t *testing.T, group int) (left []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("no /proc")
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:])) // state, ppid, pgrp
		if fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			left = append(left, string(data))
		}
	}
	return left
}

func pidIn(t *testing.T, path string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(fileText(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestProxyCommand(t *testing.T) {
	_, hop := testBox(t)
	_, inner := testBox(t)
	pids := filepath.Join(t.TempDir(), "pid")
	hop.ProxyCommand = fmt.Sprintf(`bash -c 'echo $$ > %s; trap "" HUP TERM; exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3; sleep 1000'`, pids, hop.Port)
	hop.HostName, hop.HostKeyAlias = "nowhere.invalid", "[127.0.0.1]:"+strconv.Itoa(hop.Port)
	conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop, inner}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, exit := runCommand(t, newTestLink(t, conn), "head -c 3000000 /dev/zero | wc -c")
	if strings.TrimSpace(out) != "3000000" || exit != (Exit{}) {
		t.Errorf("the command said %q, %+v", out, exit)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if left := runningIn(t, pidIn(t, pids)); len(left) > 0 {
		t.Errorf("after Close there are still of the ProxyCommand: %q", left)
	}

	t.Run("it ends", func(t *testing.T) {
		_, hop := testBox(t)
		hop.ProxyCommand = overBash(hop)
		conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pid := conn.wire.Conn.(*proxyConn).cmd.Process.Pid
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {
		case <-conn.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("its end is not noticed")
		}
		_ = conn.Close()
		gone(t, pid)
	})
	t.Run("to a unix socket", func(t *testing.T) {
		server, hop := testBox(t)
		path := unixRelay(t, server.Addr())
		python := tools.Need(t, tools.Python)
		hop.ProxyCommand = python + ` -c "
import socket, sys, threading, os
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
def up():
    while True:
        b = os.read(0, 65536)
        if not b: break
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while True:
    b = s.recv(65536)
    if not b: break
    os.write(1, b)
" ` + path
		if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); err != nil {
			t.Fatal(err)
		}
	})
}

// unixRelay listens on a unix socket for what is to go to a TCP address.
func unixRelay(t *testing.T, target string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		}()
		_, _ = io.Copy(near, far)
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return path
}

func TestProxyCommandFails(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pid")
	for _, test := range []struct {
		name, command, says string
		caller              Caller
	}{
		{name: "ends", command: "sh -c 'echo $$ > " + pids + "; echo no way to go >&2; exit 3'", says: "the ProxyCommand ended with exit status 3: no way to go"},
		{name: "is not there", command: "/nonexistent/command", says: "exit status 127"},
		{name: "is killed", command: "sh -c 'kill -9 $$'", says: "signal KILL"},
		{name: "closes its output", command: "sh -c 'exec >&-; sleep 1000'", says: "signal HUP"},
		{name: "says nothing", command: "sh -c 'echo $$ > " + pids + "; echo waiting >&2; exec sleep 1000'", says: "no answer within 300ms: the ProxyCommand was ended by signal HUP: waiting"},
		{name: "does not heed signals", command: "sh -c 'echo $$ > " + pids + "; trap \"\" HUP TERM; sleep 1000; sleep 1000'", says: "signal KILL"},
		{name: "talks much", command: "sh -c 'head -c 5000000 /dev/zero | tr \"\\0\" x >&2; echo \"\x1b[31mlast\" >&2; exit 1'", says: "x [31mlast"},
		{name: "speaks no SSH", command: "sh -c 'cat; exit 0'", says: ""},
		{name: "has the agent", command: "sh -c 'echo agent $SSH_AUTH_SOCK $WORD >&2; exit 1'", says: "agent /agent/socket word",
			caller: Caller{AuthSock: "/agent/socket", Environ: append(os.Environ(), "WORD=word", "SSH_AUTH_SOCK=/old", "SHELL=/bin/sh")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			hop := Hop{Alias: "box", HostName: "box.invalid", ProxyCommand: test.command, ConnectTimeout: 5 * time.Second, IdentityAgent: "none"}
			if strings.Contains(test.says, "300ms") || test.name == "does not heed signals" {
				hop.ConnectTimeout = 300 * time.Millisecond
			}
			_ = os.Remove(pids)
			err := dialOnce(t.Context(), []Hop{hop}, test.caller)
			if !errors.Is(err, ErrUnreachable) {
				t.Fatalf("Dial = %v", err)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			checkWords(t, err, test.says, "ssh")
			if _, err := os.Stat(pids); err == nil {
				gone(t, pidIn(t, pids))
			}
		})
	}
}
