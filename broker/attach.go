package broker

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// maxNamed is how many processes an error names.
const maxNamed = 10

// attaches tells whether a request is for a program that runs already.
func attaches(req api.OpenRequest) bool { return req.PID != 0 || req.Match != "" || req.Unit != "" }

// target finds the process that the session is for, and refuses one that must not or cannot be attached to, before anything touches it.
func (s *session) target(ctx context.Context, r *rig, login tunnel.Host) (adapters.Running, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s.say("looking at the processes of " + hostLabel(s.req.Host))
	t, err := readProcesses(ctx, r.host)
	if err != nil {
		return adapters.Running{}, fmt.Errorf("read the processes of %s: %w", hostLabel(s.req.Host), err)
	}
	var p *process
	switch {
	case s.req.PID != 0:
		p = t.byPID[s.req.PID]
		if p == nil {
			return adapters.Running{}, apiErrorf(api.CodeNotFound, s.psHint()+"; a host that is mounted with hidepid shows only your own", "no process %d on %s", s.req.PID, hostLabel(s.req.Host))
		}
	case s.req.Match != "":
		p, err = s.matching(t)
	default:
		p, err = s.ofUnit(ctx, login, t)
	}
	if err != nil {
		return adapters.Running{}, err
	}
	if err := s.judge(t, p, r.facts.UID); err != nil {
		return adapters.Running{}, err
	}
	return p.Running, nil
}

func (s *session) psHint() string {
	return "brokerctl ps " + s.req.Host + ":" + s.adapter.Name() + " shows what is there"
}

// matching is the one process whose command line the user's expression matches.
func (s *session) matching(t *processTable) (*process, error) {
	re, err := regexp.Compile(s.req.Match)
	if err != nil {
		return nil, apiErrorf(api.CodeUsage, "regular expressions as RE2 has them", "--match: %v", err)
	}
	var found []*process
	for _, p := range t.all {
		if f, ok := s.adapter.Recognise(p.Running); ok && !f.Server && !p.ours() && re.MatchString(strings.Join(p.Argv, " ")) {
			found = append(found, p)
		}
	}
	return s.one(found, "matches", "match", strconv.Quote(s.req.Match))
}

// one is the only one of found; does and do, one's verb and several's, and what say how they were looked for.
func (s *session) one(found []*process, does, do, what string) (*process, error) {
	switch len(found) {
	case 0:
		return nil, apiErrorf(api.CodeNotFound, s.psHint(), "no %s process of %s %s %s", s.adapter.Name(), hostLabel(s.req.Host), does, what)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, p := range found {
		if len(names) == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(found)-maxNamed))
			break
		}
		names = append(names, fmt.Sprintf("%d (%s)", p.PID, shorten(plain(strings.Join(p.Argv, " ")), 80)))
	}
	return nil, apiErrorf(api.CodeAmbiguous, "take one with --pid: "+strings.Join(names, ", "), "%d %s processes of %s %s %s", len(found), s.adapter.Name(), hostLabel(s.req.Host), do, what)
}

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
	if !unitName.MatchString(name) { // systemctl would take a pattern or a path for other units
		return nil, apiErrorf(api.CodeUsage, "give one unit's name, as systemctl list-units shows it", "--unit: %q is no unit's name", name)
	}
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

const sudoHint = "--sudo works through sudo -n there, where you may use it"

// judge refuses a process that must not be attached to, or cannot be. uid is the login user's.
func (s *session) judge(t *processTable, p *process, uid int) error {
	name := fmt.Sprintf("process %d (%s)", p.PID, p.name())
	if p.ours() {
		return apiErrorf(api.CodeUnsuitable, s.psHint(), "%s is debugbroker itself", name)
	}
	if err := s.judgeSessions(p, name); err != nil {
		return err
	}
	f, ok := s.adapter.Recognise(p.Running)
	switch {
	case !ok:
		hint := s.psHint()
		for _, a := range s.b.adapters {
			if _, other := a.Recognise(p.Running); other {
				hint = "it is a " + a.Name() + " program: brokerctl open " + s.req.Host + ":" + a.Name() + " --pid " + strconv.Itoa(p.PID)
				break
			}
		}
		// What others' programs are is not shown, nor what one's own are that have more rights than their user, or hide their memory.
		switch unseen := p.Exe == "" && uid != 0; {
		case unseen && p.UID != uid:
			return apiErrorf(api.CodeNoPermission, sudoHint+"; or log in as "+plain(p.User), "%s belongs to another user: %s", name, plain(p.User))
		case unseen:
			return apiErrorf(api.CodeNoPermission, sudoHint, "%s does not show what it is: only root may look into it", name)
		}
		return apiErrorf(api.CodeUnsuitable, hint, "%s is not a %s program", name, s.adapter.Name())
	case f.Server:
		hint := "take the program that it debugs"
		if _, port, found := strings.Cut(f.Listening, ":"); found {
			hint = "it listens there: brokerctl open " + s.req.Host + ":" + s.adapter.Name() + " --port " + port
		}
		return apiErrorf(api.CodeUnsuitable, hint, "%s is a debug server itself", name)
	case p.UID != uid && uid != 0 && !s.req.Sudo:
		return apiErrorf(api.CodeNoPermission, sudoHint+"; or log in as "+plain(p.User), "%s belongs to another user: %s", name, plain(p.User))
	case p.info.Tracer != 0:
		return apiErrorf(api.CodeTraced, "a process has one debugger at a time: end that one first", "%s is already being debugged by %s", name, t.tracer(s, p))
	case p.info.State == "T":
		return apiErrorf(api.CodeUnsuitable, "let it run on first: kill -CONT "+strconv.Itoa(p.PID), "%s is stopped by a signal", name)
	case p.Container != "" && !f.FromOutside:
		return apiErrorf(api.CodeUnsuitable, "start the debug server inside of the container, and see that its port is published on the host's loopback: --port then takes it",
			"%s runs in a container (%s): its files and its network are not the host's", name, p.Container)
	case p.Container != "":
		s.warn(fmt.Sprintf("the program runs in a container (%s): it is debugged from the host", p.Container))
	}
	return nil
}

// judgeSessions refuses what another session of ours has already.
func (s *session) judgeSessions(p *process, name string) error {
	v, ok := s.b.holder(s, p)
	switch {
	case !ok:
		return nil
	case v.PID != nil && *v.PID != p.PID:
		return apiErrorf(api.CodeUnsuitable, "the session's program is process "+strconv.Itoa(*v.PID), "%s is the debug server of session %s", name, v.ID)
	}
	return apiErrorf(api.CodeTraced, "attach your front end to "+v.Local+", or close it: brokerctl close "+v.ID, "%s is already being debugged by session %s", name, v.ID)
}

// processTable is a host's processes at one moment.
type processTable struct {
	all   []*process // by pid, upwards
	byPID map[int]*process
}

type process struct {
	adapters.Running
	info tunnel.ProcessInfo
}

// ours tells a process of this very software by its program's name; another's program of that name is no loss.
func (p *process) ours() bool {
	name := path.Base(p.Exe)
	return name == "brokerd" || name == "brokerctl"
}

// below tells whether the process is in a control group: other users' managers may have units of the same name.
func (p *process) below(group string) bool {
	return group == "" || strings.HasPrefix(p.info.Group+"/", group+"/")
}

// name is what people call the process, fit to be read.
func (p *process) name() string {
	name := p.Exe
	if len(p.Argv) > 0 {
		name = p.Argv[0]
	}
	return shorten(plain(path.Base(name)), 60)
}

// plain is text without what a terminal would act upon: its owner may have made it up.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// shorten cuts text off after some characters.
func shorten(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// tracer says to s who traces p.
func (t *processTable) tracer(s *session, p *process) string {
	who := "pid " + strconv.Itoa(p.info.Tracer)
	if by := t.byPID[p.info.Tracer]; by != nil {
		who += " (" + by.name() + ")"
		if v, ok := s.b.holder(s, by); ok {
			who += " of session " + v.ID
		}
	}
	return who
}

// readProcesses reads a host's processes, and what they listen on as far as that is shown.
func readProcesses(ctx context.Context, host tunnel.Host) (*processTable, error) {
	infos, err := host.Processes(ctx)
	if err != nil {
		return nil, err
	}
	listeners, err := host.Listeners(ctx)
	if err != nil {
		return nil, err
	}
	t := &processTable{byPID: make(map[int]*process, len(infos))}
	for _, i := range infos {
		p := &process{info: i, Running: adapters.Running{
			PID: i.ID.PID, Start: i.ID.Start, UID: i.UID, User: i.User, Argv: i.Argv, Exe: i.Exe, Cwd: i.Cwd, Marks: i.Marks, Caught: i.Caught, Container: i.Container,
		}}
		for _, l := range listeners {
			if l.PID == p.PID && l.PID != 0 {
				p.Listening = append(p.Listening, addressOf(l))
			}
		}
		t.byPID[p.PID] = p
		t.all = append(t.all, p)
	}
	slices.SortFunc(t.all, func(x, y *process) int { return x.PID - y.PID })
	return t, nil
}
