package broker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// maxNamed is how many processes an error names.
const maxNamed = 10

// maxStat bounds what is read of a process's stat file, in bytes.
const maxStat = 4 << 10

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
		return nil, err // checkRequest has compiled it
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

// sameTarget refuses a debug server that has another process than was meant. One that is traced keeps its pid, so that this is said for the
// session's whole life; the server is ended as any other, and lets the process go.
func (s *session) sameTarget(ctx context.Context, r *rig) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	stat, err := r.host.ReadFile(ctx, "/proc/"+strconv.Itoa(r.target.PID)+"/stat", maxStat)
	if errors.Is(err, tunnel.ErrNoSuchFile) {
		return nil // it has just ended, as the debug server is about to tell
	}
	if err != nil {
		return fmt.Errorf("look at process %d again: %w", r.target.PID, err)
	}
	if start := startTime(string(stat)); start != r.target.Start {
		return apiErrorf(api.CodeNotFound, s.psHint(), "process %d has ended, and another has its pid", r.target.PID)
	}
	return nil
}

// startTime is field 22 of a process's stat file, "" where that is none. A name, field 2, may hold anything.
func startTime(stat string) string {
	const field = 22
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field-3 {
		return ""
	}
	return fields[field-3]
}
