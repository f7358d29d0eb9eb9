package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// watch shows the sessions and their changes until Ctrl-C or the daemon's end.
func (a *app) watch(ctx context.Context, c *api.Client, all bool) error {
	if a.stdout.cursor && !a.json {
		return a.watchLive(ctx, c, all)
	}
	for s, err := range c.WatchSessions(ctx, all) {
		if err != nil {
			return watchEnd(ctx, err)
		}
		if a.json {
			err = a.printJSON(whole(s))
		} else {
			err = a.print(changeLine(time.Now(), s))
		}
		if err != nil {
			return err
		}
	}
	return watchEnd(ctx, nil)
}

// watchEnd is what an endless stream's end means: Ctrl-C is how it is left, and needs no words; else the daemon has ended.
func watchEnd(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return done{exitInterrupted}
	case err != nil:
		return err
	default:
		return &api.Error{Code: api.CodeDaemon, Message: "brokerd has ended", Hint: "the next command starts it again"}
	}
}

func changeLine(now time.Time, s api.Session) string {
	line := fmt.Sprintf("%s %s %s:%s %s %s", now.Format(time.TimeOnly), clean(s.ID), clean(s.Host), clean(s.Lang), phase(s), dash(clean(s.Local)))
	if s.Exit != nil {
		line += " " + exitText(s.Exit)
	}
	if s.Error != nil {
		line += " " + clean(s.Error.Message)
	}
	return line + "\n"
}

// change is one item of the stream.
type change struct {
	session api.Session
	err     error
}

// watchLive redraws the table at each change, and each second for the ages in it.
func (a *app) watchLive(ctx context.Context, c *api.Client, all bool) error {
	reading, stop := context.WithCancel(ctx)
	changes := make(chan change)
	go func() {
		defer close(changes)
		for s, err := range c.WatchSessions(reading, all) {
			select {
			case changes <- change{s, err}:
			case <-reading.Done():
				return
			}
		}
	}()
	defer func() { // wait for the goroutine
		stop()
		for range changes {
		}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var sessions []api.Session
	drawn := 0
	for {
		var err error
		if drawn, err = a.redraw(sessions, drawn); err != nil {
			return err
		}
		select {
		case ch, ok := <-changes:
			if !ok || ch.err != nil {
				return watchEnd(ctx, ch.err)
			}
			sessions = merge(sessions, ch.session, all)
		case <-tick.C:
		}
	}
}

// merge puts s in its place; one that has ended leaves the list unless all are wanted.
func merge(sessions []api.Session, s api.Session, all bool) []api.Session {
	i := slices.IndexFunc(sessions, func(o api.Session) bool { return o.ID == s.ID })
	switch gone := s.Phase.Ended() && !all; {
	case i < 0 && gone:
		return sessions
	case i < 0:
		return append(sessions, s)
	case gone:
		return slices.Delete(sessions, i, i+1)
	}
	sessions[i] = s
	return sessions
}

// redraw replaces the lines drawn before by the table of now, and returns how many they are.
func (a *app) redraw(sessions []api.Session, drawn int) (int, error) {
	width, height := a.stdout.size()
	lines := []string{"no sessions"}
	if len(sessions) > 0 {
		lines = sessionTable(sessions, time.Now(), width)
	}
	// What has scrolled off the screen cannot be rewritten.
	if room := height - 1; room > 1 && len(lines) > room {
		more := fmt.Sprintf("… and %d more", len(lines)-room+1)
		lines = append(lines[:room-1], cut(more, width))
	}
	up := ""
	if drawn > 0 {
		up = fmt.Sprintf("\x1b[%dA", drawn)
	}
	return len(lines), a.print(up + "\r\x1b[J" + strings.Join(lines, "\n") + "\n")
}
