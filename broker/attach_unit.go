package broker

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// What systemd takes as a unit's name, and the kinds of units that have processes (systemd.unit(5)).
var (
	unitName   = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,255}$`)
	unitSuffix = regexp.MustCompile(`\.(?:service|scope|socket|mount|swap)$`)
)

// unitProperty is one line of `systemctl show`.
var unitProperty = regexp.MustCompile(`(?m)^(user|system) (LoadState|ActiveState|SubState|MainPID|ControlGroup)=(.*)$`)

// ofUnit is the process of a systemd unit: its main process if that is of the language, else the only one of the language in it.
//
// The user's manager is asked first, as CLI.md has it. `systemctl show` answers for units that do not exist too (LoadState=not-found).
func (s *session) ofUnit(ctx context.Context, login tunnel.Host, t *processTable) (*process, error) {
	name := s.req.Unit
	if !unitSuffix.MatchString(name) {
		name += ".service"
	}
	script := `command -v systemctl >/dev/null 2>&1 || exit 3
: "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"; export XDG_RUNTIME_DIR
systemctl --user show -p LoadState,ActiveState,SubState,MainPID,ControlGroup -- ` + shellWord(name) + ` 2>/dev/null | sed 's/^/user /'
systemctl --system show -p LoadState,ActiveState,SubState,MainPID,ControlGroup -- ` + shellWord(name) + ` 2>/dev/null | sed 's/^/system /'
exit 0`
	res, err := login.Run(ctx, script)
	if err != nil {
		return nil, fmt.Errorf("ask systemd: %w", err)
	}
	if res.Code == 3 {
		return nil, apiErrorf(api.CodeMissingTool, "name the process with --pid or --match", "%s has no systemd: systemctl is not there", hostLabel(s.req.Host))
	}
	units := map[string]map[string]string{"user": {}, "system": {}}
	for _, m := range unitProperty.FindAllStringSubmatch(string(res.Stdout), -1) {
		units[m[1]][m[2]] = m[3]
	}
	if len(units["user"])+len(units["system"]) == 0 {
		return nil, apiErrorf(api.CodeMissingTool, "name the process with --pid or --match", "systemd of %s does not answer", hostLabel(s.req.Host))
	}
	for _, manager := range []string{"user", "system"} {
		u := units[manager]
		switch {
		case u["LoadState"] == "" || u["LoadState"] == "not-found":
			continue
		case u["ActiveState"] != "active" && u["ActiveState"] != "reloading" && u["ActiveState"] != "activating":
			return nil, apiErrorf(api.CodeNotFound, "start it there: systemctl "+map[string]string{"user": "--user "}[manager]+"start "+name,
				"the %s unit %s of %s is not running: %s (%s)", manager, name, hostLabel(s.req.Host), u["ActiveState"], u["SubState"])
		}
		if pid, err := strconv.Atoi(u["MainPID"]); err == nil {
			if p := t.byPID[pid]; p != nil {
				if _, ok := s.adapter.Recognise(p.Running); ok {
					return p, nil
				}
			}
		}
		var found []*process
		for _, p := range t.all {
			if f, ok := s.adapter.Recognise(p.Running); ok && !f.Server && p.info.Unit == name && p.below(u["ControlGroup"]) {
				found = append(found, p)
			}
		}
		return s.one(found, "belongs", "belong", "to the unit "+name)
	}
	return nil, apiErrorf(api.CodeNotFound, "systemctl list-units --type=service shows them; --user those of the user", "%s has no unit %s", hostLabel(s.req.Host), name)
}

// shellWord is s as one word of a POSIX shell.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
