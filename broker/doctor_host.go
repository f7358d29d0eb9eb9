package broker

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	maxSkew   = 5 * time.Second
	lowDisk   = 256 << 20 // bytes: less than a Go build needs
	maxListed = 10        // of things that a check lists
)

// system asks what the host is; without that nothing else can be asked.
func (d *doctor) system(ctx context.Context, host tunnel.Host) (tunnel.Facts, bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f, err := host.Facts(ctx)
	if err != nil {
		d.fail("system", err, "does `ssh HOST uname -a` work?")
		return f, false
	}
	d.ok("system", "%s %s, user %s (uid %d), login shell %s", oneLine(f.OS), oneLine(f.Arch), oneLine(f.User), f.UID, oneLine(f.Shell))
	return f, true
}

// run asks the host; false where it did not answer, which has been said.
func (d *doctor) run(ctx context.Context, host tunnel.Host, check, script string) (map[string][]string, bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	res, err := host.Run(ctx, script)
	if err != nil {
		d.fail(check, err, "the host answers too slowly; try again")
		return nil, false
	}
	answer := make(map[string][]string)
	for line := range strings.Lines(string(res.Stdout)) {
		word, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		answer[word] = append(answer[word], oneLine(value))
	}
	return answer, true
}

// clock compares the host's clock with ours, half a round trip taken off. It tells whole seconds.
func (d *doctor) clock(ctx context.Context, host tunnel.Host) {
	if host.Name() == "" {
		return
	}
	const check = "clock"
	began := time.Now()
	answer, ok := d.run(ctx, host, check, `printf 'now %s\n' "$(date +%s)"`)
	took := time.Since(began)
	if !ok {
		return
	}
	theirs, err := strconv.ParseInt(first(answer["now"]), 10, 64)
	if err != nil {
		d.found(api.Check{Check: check, Detail: "`date +%s` tells no time there", Hint: "see what `date` is on its PATH"})
		return
	}
	ours := float64(began.Add(took/2).UnixMilli()) / 1000
	skew := time.Duration(math.Round(float64(theirs)+0.5-ours)) * time.Second
	switch {
	case skew.Abs() <= time.Second:
		d.ok(check, "as ours, to the second")
	case skew > 0:
		d.skew(check, skew, "ahead of")
	default:
		d.skew(check, -skew, "behind")
	}
}

func (d *doctor) skew(check string, by time.Duration, way string) {
	c := api.Check{Check: check, OK: by <= maxSkew, Detail: fmt.Sprintf("%s %s ours", by, way)}
	if !c.OK {
		c.Hint = "set it by NTP (timedatectl set-ntp true): builds, certificates and times in logs go wrong with it"
	}
	d.found(c)
}

// workspaceScript makes what a session makes, and takes it away again. It is given $dir.
//
//go:embed doctor_workspace.sh
var workspaceScript string

func (d *doctor) workspace(ctx context.Context, host tunnel.Host, f tunnel.Facts) {
	const check = "workspace"
	dir := f.TempDir + "/" + tunnel.NewWorkspaceName()
	answer, ok := d.run(ctx, host, check, "dir='"+strings.ReplaceAll(dir, "'", `'\''`)+"'\n"+workspaceScript)
	if !ok {
		return
	}
	free, _ := strconv.ParseInt(first(answer["free_kb"]), 10, 64)
	c := api.Check{Check: check, OK: true, Detail: fmt.Sprintf("%s takes private directories", oneLine(f.TempDir))}
	if _, told := answer["free_kb"]; told {
		c.Detail += fmt.Sprintf(", %s free", size(free<<10))
	}
	switch {
	case answer["made"] == nil:
		c.OK, c.Detail = false, fmt.Sprintf("no directory can be made in %s: %s", f.TempDir, first(answer["why"]))
		c.Hint = "sessions put their files there: make room, or see its mode and quota"
	case answer["written"] == nil:
		c.OK, c.Detail = false, fmt.Sprintf("no file can be written in %s: %s", f.TempDir, first(answer["why"]))
		c.Hint = "make room there: is the disk, or a quota, full?"
	case answer["runs"] == nil:
		// Only Delve's builds run from there.
		c.Detail += ", but no program runs from it (noexec)"
		c.Hint = "`open HOST:go -- DIR` builds and runs there: build the program elsewhere and name the file, or mount it with exec"
	}
	if c.OK && answer["free_kb"] != nil && free<<10 < lowDisk {
		c.OK, c.Hint = false, "make room there: a Go build alone takes some hundred MiB"
	}
	d.found(c)
}

// accounts tells who else could reach what listens on the host's loopback.
func (d *doctor) accounts(f tunnel.Facts) {
	const check = "other accounts"
	if f.OtherUsers == 0 {
		d.ok(check, "none could log in")
		return
	}
	d.found(api.Check{
		Check: check, OK: true, Detail: fmt.Sprintf("%s could log in", count(f.OtherUsers, "other account")),
		Hint: "they can connect to debug servers on its loopback: python (--port, launch) and java ask for no password, node's address has a secret path," +
			" Delve listens on a private socket where the SSH server forwards to one. Use a host, or a container, of your own for what must be safe from them",
	})
}

// leftoversScript tells the directories of ours, and which of them something runs for.
//
//go:embed doctor_leftovers.sh
var leftoversScript string

func (d *doctor) leftovers(ctx context.Context, host tunnel.Host) {
	const check = "leftovers"
	known, err := d.b.ledger.workspaces()
	if err != nil {
		d.fail(check, err, hintLog)
		return
	}
	answer, ok := d.run(ctx, host, check, leftoversScript)
	if !ok {
		return
	}
	var dead, pending, others []string
	for _, dir := range answer["idle"] {
		if live, ours := known[dir]; !ours {
			dead = append(dead, dir)
		} else if !live {
			pending = append(pending, dir)
		}
	}
	for _, dir := range append(answer["runs"], answer["new"]...) {
		if live, ours := known[dir]; !ours {
			others = append(others, dir)
		} else if !live {
			pending = append(pending, dir)
		}
	}
	switch {
	case len(dead) > 0:
		d.found(api.Check{Check: check, Detail: "no session has " + listed(dead), Hint: "nothing runs for them: look at them, and remove them there with rm -r"})
	case len(pending) > 0:
		d.found(api.Check{Check: check, Detail: "not cleaned up yet: " + listed(pending), Hint: "the next open on this host does it"})
	case len(others) > 0:
		d.found(api.Check{Check: check, OK: true, Detail: "none; sessions of another debugbroker of yours run in " + listed(others)})
	default:
		d.ok(check, "none")
	}
}

// listed is a few of the names.
func listed(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	if more := len(names) - maxListed; more > 0 {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// count is "1 host" or "2 hosts".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is bytes as df -h tells them.
func size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v := float64(bytes)
	for _, u := range units[:len(units)-1] {
		if v < 1024 {
			return fmt.Sprintf("%.0f %s", v, u)
		}
		v /= 1024
	}
	return fmt.Sprintf("%.0f TiB", v)
}

// oneLine makes text of a host fit for a check: no control characters, and not endless.
func oneLine(s string) string {
	const limit = 512
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
