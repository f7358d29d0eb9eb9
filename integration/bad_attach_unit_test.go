package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/integration/usermanager"
)

// TestAttachToUnits needs a systemd of its own, and so root and control groups that can be written to.
func TestAttachToUnits(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "bt-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	units := filepath.Join(dir, "systemd/user")
	if err := os.MkdirAll(units, 0o700); err != nil {
		t.Fatal(err)
	}
	python, ticker := tools.Need(t, tools.Python), programs.Path(t, "python/ticker.py")
	k := attachGo(t)
	log := filepath.Join(dir, "out")
	for name, command := range map[string]string{
		"ticker":  k.argv[0],
		"worker@": k.argv[0],
		"shell":   `/bin/sh -c "` + python + " " + ticker + ` & wait"`,
		"pair":    `/bin/sh -c "` + python + " " + ticker + " & " + python + " " + ticker + ` & wait"`,
		"asleep":  k.argv[0],
		"broken":  "/bin/false",
	} {
		put(t, filepath.Join(units, name+".service"), fmt.Appendf(nil, "[Service]\nExecStart=%s\nStandardOutput=append:%s\nStandardError=append:%[2]s\n", command, log), 0o600)
	}
	m := usermanager.Need(t, filepath.Join(dir, "run"), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	s := newStation(t, sshd.Options{Env: map[string]string{"XDG_RUNTIME_DIR": m.Runtime, "XDG_CONFIG_HOME": dir}}, "")
	s.clean(t)
	if out, err := m.Command(t.Context(), "start", "ticker", "worker@1.5", "shell", "pair").CombinedOutput(); err != nil {
		t.Fatalf("start units: %v\n%s\n%s", err, out, m.Log())
	}
	_ = m.Command(t.Context(), "start", "--wait", "broken").Run()
	for unit, lang := range map[string]string{"ticker": "go", "ticker.service": "go", "worker@1.5": "go", "worker@1.5.service": "go"} {
		v := s.Open("box:"+lang, "--interpreter", tools.NeedDlv(t), "--unit", unit)
		want, err := m.Command(t.Context(), "show", unit, "--value", "--property=MainPID").Output()
		if err != nil || v.PID == nil || strconv.Itoa(*v.PID) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: pid %v, and its main process is %s (%v)", unit, v.PID, want, err)
		}
		if v.PID != nil {
			closeAttached(t, s.Broker, lang, v.ID)
			untraced(t, *v.PID)
		}
	}
	for name, tt := range map[string]struct {
		lang, unit string
		want       complaint
	}{
		"unknown":          {"go", "nosuchunit", complaint{1, api.CodeNotFound, []string{"box has no unit nosuchunit.service", "list-units"}}},
		"inactive":         {"go", "asleep", complaint{1, api.CodeNotFound, []string{"the user unit asleep.service of box is not running: inactive (dead)", "systemctl --user start asleep.service"}}},
		"failed":           {"go", "broken", complaint{1, api.CodeNotFound, []string{"broken.service of box is not running: failed (failed)"}}},
		"another language": {"node", "ticker", complaint{1, api.CodeNotFound, []string{"no node process of box belongs to the unit ticker.service"}}},
		"several":          {"python", "pair", complaint{1, api.CodeAmbiguous, []string{"2 python processes of box belong to the unit pair.service", "--pid"}}},
		"a pattern":        {"go", "tick*", complaint{2, api.CodeUsage, []string{"tick*"}}},
		"an option":        {"go", "--help", complaint{2, api.CodeUsage, []string{"--help"}}},
		"two lines":        {"go", "ticker\nbroken", complaint{2, api.CodeUsage, nil}},
		"a path":           {"go", "/etc/passwd", complaint{2, api.CodeUsage, nil}},
	} {
		t.Run(name, func(t *testing.T) { s.complains(t, tt.want, "open", "box:"+tt.lang, "--unit="+tt.unit) })
	}
}

// TestUnitsWithoutSystemd: no systemctl, or nobody whom it could ask.
func TestUnitsWithoutSystemd(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, from := range []string{"/usr/bin", "/bin"} {
		files, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name() != "systemctl" {
				_ = os.Symlink(filepath.Join(from, f.Name()), filepath.Join(bin, f.Name())) // an error: it is there from before
			}
		}
	}
	for name, tt := range map[string]struct {
		env   map[string]string
		words []string
	}{
		"no systemctl":    {map[string]string{"PATH": bin}, []string{"box has no systemd", "--pid or --match"}},
		"does not answer": {map[string]string{"XDG_RUNTIME_DIR": bin, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}, []string{"systemd of box does not answer", "--pid or --match"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, sshd.Options{Env: tt.env}, "")
			s.clean(t)
			s.complains(t, complaint{6, api.CodeMissingTool, tt.words}, "open", "box:python", "--unit", "ticker")
		})
	}
}
