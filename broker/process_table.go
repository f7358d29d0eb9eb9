package broker

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/tunnel"
)

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
