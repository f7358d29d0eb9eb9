package integration_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestAttachToAnotherUsersProcess needs root, as all with a house do.
func TestAttachToAnotherUsersProcess(t *testing.T) {
	t.Parallel()
	w := newHouse(t, houseOptions{})
	w.clean(t)
	for lang, argv := range w.crowd(t) {
		h := w.start(t, bob, argv...)
		w.complains(t, complaint{6, api.CodeNoPermission, []string{"process " + h.pid(), "belongs to another user: bob", "--sudo"}}, "open", "box:"+lang, "--pid", h.pid())
		if lang != "go" { // what it is, is not shown
			w.complains(t, complaint{6, api.CodeNoPermission, []string{"process " + h.pid(), "belongs to another user: bob"}}, "open", "box:"+lang, "--match", argv[len(argv)-1])
		}
		if p, ok := shown(t, w.station, "box:"+lang)[h.cmd.Process.Pid]; lang != "go" && (p.User != "bob" || p.Lang != lang) || lang == "go" && ok {
			t.Errorf("%s: ps says %+v", lang, p)
		}
		h.untouched()
	}
}

// undumpable lets nobody but root trace it, as a program does that has keys in its memory.
const undumpable = `import ctypes
if ctypes.CDLL(None).prctl(4, 0) != 0: raise SystemExit(1)
`

// TestAttachToAnUndumpableProcess: it is ada's own, and only root may trace it.
func TestAttachToAnUndumpableProcess(t *testing.T) {
	t.Parallel()
	gdb, _, _ := strings.Cut(tools.NeedGdb(t), ":")
	w := newHouse(t, houseOptions{path: gdb})
	w.clean(t)
	argv := w.crowd(t)["python"]
	path := filepath.Join(w.dir, "undumpable.py")
	put(t, path, []byte(undumpable+slurp(t, argv[1])), 0o644)
	h := w.start(t, ada, argv[0], path)
	w.complains(t, complaint{6, api.CodeNoPermission, []string{"process " + h.pid(), "--sudo"}}, "open", "box:python", "--pid", h.pid())
	w.complains(t, complaint{6, api.CodeNoPermission, []string{"process " + h.pid(), "--sudo"}}, "open", "box:go", "--pid", h.pid())
	h.untouched()
}
