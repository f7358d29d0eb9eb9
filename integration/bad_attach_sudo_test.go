package integration_test

import (
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const everything = "ada ALL=(ALL:ALL) NOPASSWD: ALL"

// TestAttachWithSudo: with a rule that allows it, and bob's programs run on.
func TestAttachWithSudo(t *testing.T) {
	t.Parallel()
	tools.Need(t, tools.Sudo)
	gdb, _, _ := strings.Cut(tools.NeedGdb(t), ":")
	w := newHouse(t, houseOptions{sudoers: everything, path: gdb})
	w.clean(t)
	for lang, argv := range w.crowd(t) {
		h := w.start(t, bob, argv...)
		if p := shown(t, w.station, "box:"+lang, "--sudo")[h.cmd.Process.Pid]; p.User != "bob" || p.Lang != lang {
			t.Errorf("%s: ps --sudo says %+v", lang, p)
		}
		v := w.In(t).Open("box:"+lang, "--pid", h.pid(), "--sudo")
		if v.Mode != "attach" || v.PID == nil || *v.PID != h.cmd.Process.Pid {
			t.Errorf("%s: %+v", lang, v)
		}
		h.runsOn()
		closeAttached(t, w.Broker, lang, v.ID)
		h.runsOn()
		untraced(t, h.cmd.Process.Pid)
	}
}

// TestAttachWithoutSudo: sudo asks for a password, or is not there.
func TestAttachWithoutSudo(t *testing.T) {
	t.Parallel()
	tools.Need(t, tools.Sudo)
	for name, tt := range map[string]struct {
		o    houseOptions
		want complaint
	}{
		"refused":      {houseOptions{}, complaint{6, api.CodeNoPermission, []string{"sudo", "password", "NOPASSWD"}}},
		"for less":     {houseOptions{sudoers: "ada ALL=(ALL) NOPASSWD: /bin/true"}, complaint{6, api.CodeNoPermission, []string{"sudo", "NOPASSWD"}}},
		"not for root": {houseOptions{sudoers: "ada ALL=(bob) NOPASSWD: ALL"}, complaint{6, api.CodeNoPermission, []string{"sudo", "NOPASSWD"}}},
		"not installed": {houseOptions{private: `
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o "lowerdir=/usr/bin,upperdir=/mnt/upper,workdir=/mnt/work" /usr/bin
rm -f /usr/bin/sudo`}, complaint{6, api.CodeNoPermission, []string{"run sudo", "sudo is not installed there"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHouse(t, tt.o)
			w.clean(t)
			h := w.start(t, bob, w.crowd(t)["python"]...)
			w.complains(t, tt.want, "open", "box:python", "--pid", h.pid(), "--sudo")
			w.complains(t, tt.want, "ps", "box:python", "--sudo")
			h.untouched()
		})
	}
}
