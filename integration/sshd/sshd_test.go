package sshd_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run carries out a command over the OpenSSH client, exactly as a user would.
func run(t *testing.T, s *sshd.Server, alias, command string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tools.Need(t, tools.SSH), "-F", s.ConfigFile(), alias, command)
	out, err := cmd.Output()
	if ee := new(exec.ExitError); errors.As(err, &ee) {
		t.Logf("ssh: %v: %s", err, ee.Stderr)
	}
	return string(out), err
}

func TestCommandsRunOverTheRealClient(t *testing.T) {
	tests := []struct {
		name    string
		opts    sshd.Options
		shell   string // must be on the machine
		command string
		want    string
	}{
		{name: "stock", command: "echo $((6*7))", want: "42\n"},
		{name: "environment", opts: sshd.Options{Env: map[string]string{"PATH": "/usr/bin:/bin", "A": "b c"}}, command: `echo "$PATH|$A"`, want: "/usr/bin:/bin|b c\n"},
		{name: "noise", opts: sshd.Options{Noise: "Welcome!\n"}, command: "echo x", want: "Welcome!\nx\n"},
		{name: "fish", shell: "fish", command: "set x 4; echo $x(math 1+1); echo $SHELL | string match -r 'fish$'", want: "42\nfish\n"},
		{name: "csh", shell: "csh", command: "set x = 42; if ($x == 42) echo $x", want: "42\n"},
		{name: "bash", shell: "bash", command: "[[ -n $BASH_VERSION ]] && echo bash", want: "bash\n"},
		{name: "sh", shell: "sh", command: "echo 'a b'", want: "a b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.shell != "" {
				tt.opts.Shell = tools.NeedShell(t, tt.shell)
			}
			s := sshd.New(t, tt.opts)
			got, err := run(t, s, sshd.Alias, tt.command)
			if err != nil || got != tt.want {
				t.Errorf("ssh printed %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestTempDirAndMarkReachCommands(t *testing.T) {
	s := sshd.New(t, sshd.Options{})
	got, err := run(t, s, sshd.Alias, `echo "$TMPDIR $`+sandbox.MarkVariable+`"`)
	if want := s.TempDir() + " " + s.Mark() + "\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestJumpHost(t *testing.T) {
	jump := sshd.New(t, sshd.Options{Alias: "jump"})
	s := sshd.New(t, sshd.Options{Alias: "inner", Jump: jump})
	if got, err := run(t, s, "inner", "echo in"); err != nil || got != "in\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	if !strings.Contains(jump.Log(), "Accepted publickey") {
		t.Error("the jump host was not asked")
	}
}

func TestAddHostOverrides(t *testing.T) {
	s := sshd.New(t, sshd.Options{})
	s.AddHost("stranger", "IdentityFile "+s.WriteKey("other", ""))
	s.AddHost("locked", "IdentityFile "+s.WriteKey("locked_key", "secret"), "BatchMode yes")
	s.AddHost("unknown", "UserKnownHostsFile /dev/null")
	for _, alias := range []string{"stranger", "locked"} {
		if _, err := run(t, s, alias, "true"); err == nil {
			t.Errorf("%s: ssh got in with a key that the server does not know or nobody can read", alias)
		}
	}
	if _, err := run(t, s, "unknown", "true"); err == nil {
		t.Error("an unknown host key was accepted")
	}
}

func TestKillConnectionsCutsTheLinkAndLeavesTheServer(t *testing.T) {
	s := sshd.New(t, sshd.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tools.Need(t, tools.SSH), "-F", s.ConfigFile(), sshd.Alias, "echo up; exec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if _, err := out.Read(buf); err != nil {
		t.Fatal(err)
	}
	if n := s.KillConnections(); n == 0 {
		t.Error("no connection found")
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Errorf("ssh ended with %v (%v), want exit status 255", err, ctx.Err())
	}
	if got, err := run(t, s, sshd.Alias, "echo again"); err != nil || got != "again\n" {
		t.Errorf("after the cut: %q, %v", got, err)
	}
}

func TestStopAndStartKeepThePort(t *testing.T) {
	s := sshd.New(t, sshd.Options{})
	port := s.Port()
	s.Stop()
	if _, err := run(t, s, sshd.Alias, "true"); err == nil {
		t.Error("a stopped server answered")
	}
	s.Start()
	if s.Port() != port {
		t.Errorf("port %d became %d", port, s.Port())
	}
	if _, err := run(t, s, sshd.Alias, "true"); err != nil {
		t.Error(err)
	}
}
