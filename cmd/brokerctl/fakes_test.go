package main

import (
	"encoding/json"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakes finds the daemon that a script has started.
var fakes registry

type registry struct{ m sync.Map }

func (r *registry) put(ts *testscript.TestScript, f *fakeDaemon) { r.m.Store(ts.Getenv("WORK"), f) }

func (r *registry) get(ts *testscript.TestScript) *fakeDaemon {
	f, ok := r.m.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("the script has not started a daemon")
	}
	return f.(*fakeDaemon)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
