package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// watched is a list that the daemon tells the changes of.
type watched[T any] struct {
	stream func(context.Context) iter.Seq2[T, error]
	whole  func(T) T                            // as JSON has it
	line   func(now time.Time, change T) string // a change for people, without a terminal
	merge  func(list []T, change T) []T
	table  func(list []T, width int) []string
	none   string // what an empty list says
}

// watchSessions is the list of sessions.
func watchSessions(c *api.Client, all bool) watched[api.Session] {
	return watched[api.Session]{
		stream: func(ctx context.Context) iter.Seq2[api.Session, error] { return c.WatchSessions(ctx, all) },
		whole:  whole,
		line:   changeLine,
		merge: func(list []api.Session, s api.Session) []api.Session {
			same := func(o api.Session) bool { return o.ID == s.ID }
			return put(list, s, same, s.Phase.Ended() && !all)
		},
		table: func(list []api.Session, width int) []string { return sessionTable(list, time.Now(), width) },
		none:  "no sessions",
	}
}

// watch shows a list and its changes until Ctrl-C or the daemon's end.
func watch[T any](ctx context.Context, a *app, w watched[T]) error {
	if a.stdout.cursor && !a.json {
		return watchLive(ctx, a, w)
	}
	for v, err := range w.stream(ctx) {
		if err != nil {
			return watchEnd(ctx, err)
		}
		if a.json {
			err = a.printJSON(w.whole(v))
		} else {
			err = a.print(w.line(time.Now(), v))
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
type change[T any] struct {
	value T
	err   error
}

// watchLive redraws the table at each change, and each second for the ages in it.
func watchLive[T any](ctx context.Context, a *app, w watched[T]) error {
	reading, stop := context.WithCancel(ctx)
	changes := make(chan change[T])
	go func() {
		defer close(changes)
		for v, err := range w.stream(reading) {
			select {
			case changes <- change[T]{v, err}:
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
	var list []T
	drawn := 0
	for {
		width, height := a.stdout.size()
		lines := []string{w.none}
		if len(list) > 0 {
			lines = w.table(list, width)
		}
		var err error
		if drawn, err = a.redraw(lines, width, height, drawn); err != nil {
			return err
		}
		select {
		case ch, ok := <-changes:
			if !ok || ch.err != nil {
				return watchEnd(ctx, ch.err)
			}
			list = w.merge(list, ch.value)
		case <-tick.C:
		}
	}
}

// put puts v in its place, which is where same holds, else the end; gone takes it out of the list.
func put[T any](list []T, v T, same func(T) bool, gone bool) []T {
	switch i := slices.IndexFunc(list, same); {
	case i < 0 && gone:
		return list
	case i < 0:
		return append(list, v)
	case gone:
		return slices.Delete(list, i, i+1)
	default:
		list[i] = v
		return list
	}
}

// redraw replaces the lines drawn before by those of now, and returns how many they are.
func (a *app) redraw(lines []string, width, height, drawn int) (int, error) {
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
