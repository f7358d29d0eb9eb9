package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// fakeDaemon speaks brokerd's API and behaves as the host's name says:
//
//	web1, …    opens at once
//	dirty      opens; something is left when it is closed
//	lost       opens; cannot be reached when it is closed
//	evil       opens; everything it says is hostile to terminals
//	slow       is being connected to until the request ends or somebody closes it
//	empty      has nothing that can be debugged
//	crowd      has many programs
//	auth, unreachable, missing-tool, program-ended, …   fails with that code
type fakeDaemon struct {
	info api.DaemonInfo
	quit chan struct{} // closed by /stop
	// hangClose, where it is set, keeps a close waiting until it is closed.
	hangClose chan struct{}
	answers   chan string // ID=ANSWER

	mu       sync.Mutex
	sessions []api.Session
	requests []api.OpenRequest
	forwards []api.Forward
	removed  []api.Forward

	forwardRequests []api.ForwardRequest

	changed chan struct{} // closed and replaced at each change
	calls   []string      // "POST /v1/sessions"
}

const evil = "\x1b]0;owned\a\x1b[2J\u009b31mred\u202egnp\r\nnext\tline"

func newFake(info api.DaemonInfo) *fakeDaemon {
	return &fakeDaemon{info: info, quit: make(chan struct{}), answers: make(chan string), changed: make(chan struct{})}
}

// listen serves until the returned function is called.
func (f *fakeDaemon) listen(socket string) (stop func(), err error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	return f.serve(l), nil
}

func (f *fakeDaemon) serve(l net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/info", func(w http.ResponseWriter, _ *http.Request) { answer(w, f.info) })
	for pattern, h := range map[string]http.HandlerFunc{
		"POST /v1/sessions":              f.open,
		"GET /v1/sessions":               f.list,
		"GET /v1/sessions/{id}":          f.show,
		"POST /v1/sessions/{id}/close":   f.close,
		"POST /v1/sessions/{id}/extend":  f.extend,
		"GET /v1/sessions/{id}/logs":     f.logs,
		"GET /v1/events":                 f.events,
		"POST /v1/forwards":              f.addForwards,
		"GET /v1/forwards":               f.listForwards,
		"POST /v1/forwards/{name}/{act}": f.actForward,
		"GET /v1/hosts":                  f.hosts,
		"POST /v1/processes":             f.processes,
		"POST /v1/doctor":                f.doctor,
		"POST /v1/auth":                  f.auth,
		"POST /v1/prompts/{id}":          f.answerPrompt,
		"POST /v1/stop":                  f.stop,
	} {
		mux.HandleFunc(pattern, f.checked(h))
	}
	srv := &http.Server{Handler: mux}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		srv.Serve(l)
	}()
	return func() {
		srv.Close()
		<-ended
	}
}

// checked refuses other versions as brokerd does, and records the call.
func (f *fakeDaemon) checked(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
		f.notify()
		f.mu.Unlock()
		if r.Header.Get(api.VersionHeader) != strconv.Itoa(f.info.API) {
			fail(w, &api.Error{Code: api.CodeVersion, Message: "other version", Hint: "brokerctl stop"})
			return
		}
		h(w, r)
	}
}

// called tells whether a call has come; mu is held, or nobody is calling any more.
func (f *fakeDaemon) called(call string) bool { return slices.Contains(f.calls, call) }

// notify wakes who waits for a change; mu is held.
func (f *fakeDaemon) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// await waits until ok holds of the daemon.
func (f *fakeDaemon) await(t testing.TB, ok func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		good, changed := ok(), f.changed
		f.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatal("the fake daemon did not see what was expected")
		}
	}
}

func answer(w http.ResponseWriter, v any) {
	json.NewEncoder(w).Encode(v)
	w.(http.Flusher).Flush()
}

func fail(w http.ResponseWriter, e *api.Error) {
	w.WriteHeader(http.StatusBadRequest)
	answer(w, map[string]any{"error": e})
}

func (f *fakeDaemon) open(w http.ResponseWriter, r *http.Request) {
	var req api.OpenRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, &api.Error{Code: api.CodeUsage, Message: err.Error()})
		return
	}
	f.mu.Lock()
	s := fakeSession(fmt.Sprintf("s%d", len(f.sessions)+1), req)
	f.sessions = append(f.sessions, s)
	f.requests = append(f.requests, req)
	f.notify()
	f.mu.Unlock()
	answer(w, api.OpenEvent{ID: s.ID, Progress: "connecting to " + req.Host})
	switch req.Host {
	case "slow":
		f.waitClosed(r, s.ID)
		answer(w, api.OpenEvent{Error: &api.Error{Code: api.CodeLinkLost, Message: "closed meanwhile"}})
		return
	case "evil":
		answer(w, api.OpenEvent{Progress: evil})
		s.Server, s.Warnings, s.Cwd = evil, []string{evil}, evil
		s.Error = &api.Error{Code: api.CodeInternal, Message: evil, Hint: evil, Output: evil}
		f.set(s)
	}
	if e := (&api.Error{Code: api.Code(req.Host), Message: "it is " + req.Host, Hint: "do " + req.Host}); knownCode(e.Code) {
		e.Output = "Traceback:\n\tboom\x1b[31m\n"
		s.Phase, s.Error = api.PhaseFailed, e
		f.set(s)
		answer(w, api.OpenEvent{Error: e})
		return
	}
	answer(w, api.OpenEvent{Session: &s})
}

func fakeSession(id string, req api.OpenRequest) api.Session {
	pid := 4242
	s := api.Session{
		ID: id, Host: req.Host, Lang: req.Lang, Mode: "launch", Phase: api.PhaseReady,
		Local: "127.0.0.1:41234", Server: "debugpy 1.6.6", PID: &pid, Remote: "127.0.0.1:38211", Command: req.Program, Cwd: "/srv/app",
		Map: append([]api.PathMap{}, req.Map...), Created: time.Now(), Expires: time.Now().Add(8 * time.Hour), Policy: "full", Reason: req.Reason,
		Link: &api.Link{State: "up", RTT: 12.5},
	}
	switch {
	case req.Port != 0:
		s.Mode, s.Remote = "port", fmt.Sprintf("127.0.0.1:%d", req.Port)
	case req.PID != 0:
		s.Mode, s.PID, s.Command = "attach", &req.PID, []string{"python3", "their.py"}
	}
	if req.Host == "slow" {
		s.Phase = api.PhaseOpening
	}
	return s
}

// waitClosed blocks until the session has ended or the caller is gone.
func (f *fakeDaemon) waitClosed(r *http.Request, id string) {
	for {
		s, changed := f.get(id)
		if s.Phase.Ended() {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fakeDaemon) get(id string) (api.Session, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sessions {
		if s.ID == id {
			return s, f.changed
		}
	}
	return api.Session{}, f.changed
}

func (f *fakeDaemon) set(s api.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.sessions {
		if f.sessions[i].ID == s.ID {
			f.sessions[i] = s
		}
	}
	f.notify()
}

func (f *fakeDaemon) list(w http.ResponseWriter, r *http.Request) {
	all := r.URL.Query().Get("all") == "true"
	if r.URL.Query().Get("watch") == "true" {
		f.watch(w, r)
		return
	}
	f.mu.Lock()
	list := slices.Clone(f.sessions)
	f.mu.Unlock()
	list = slices.DeleteFunc(list, func(s api.Session) bool { return s.Phase.Ended() && !all })
	answer(w, list) // null when there are none: the client must cope
}

func (f *fakeDaemon) watch(w http.ResponseWriter, r *http.Request) {
	sent := map[string]string{}
	for {
		f.mu.Lock()
		list, changed := slices.Clone(f.sessions), f.changed
		f.mu.Unlock()
		for _, s := range list {
			if b, _ := json.Marshal(s); sent[s.ID] != string(b) {
				sent[s.ID] = string(b)
				answer(w, s)
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fakeDaemon) show(w http.ResponseWriter, r *http.Request) {
	s, _ := f.get(r.PathValue("id"))
	if s.ID == "" {
		unknown(w, r)
		return
	}
	answer(w, s)
}

func unknown(w http.ResponseWriter, r *http.Request) {
	fail(w, &api.Error{Code: api.CodeUnknownSession, Message: "no session " + r.PathValue("id"), Hint: "brokerctl list --all"})
}

func (f *fakeDaemon) close(w http.ResponseWriter, r *http.Request) {
	s, _ := f.get(r.PathValue("id"))
	if s.ID == "" {
		unknown(w, r)
		return
	}
	if f.hangClose != nil {
		<-f.hangClose
	}
	c := api.Closed{ID: s.ID}
	switch s.Host {
	case "dirty":
		c.Left = []string{"/tmp/x", "pid 7"}
		c.Error = &api.Error{Code: api.CodeCleanUp, Message: "left there: /tmp/x, pid 7", Hint: "remove it by hand"}
	case "lost":
		c.Left = []string{"/tmp/y"}
		c.Error = &api.Error{Code: api.CodeUnreachable, Message: "connect to lost: timed out", Hint: "it is cleaned up at the next connect"}
	}
	s.Phase = api.PhaseClosed
	f.set(s)
	answer(w, c)
}

func (f *fakeDaemon) extend(w http.ResponseWriter, r *http.Request) {
	var req api.ExtendRequest
	s, _ := f.get(r.PathValue("id"))
	switch err := json.NewDecoder(r.Body).Decode(&req); {
	case err != nil:
		fail(w, &api.Error{Code: api.CodeUsage, Message: err.Error()})
	case s.ID == "":
		unknown(w, r)
	case s.Phase.Ended():
		fail(w, &api.Error{Code: api.CodeEnded, Message: "session " + s.ID + " is " + string(s.Phase), Hint: "open it anew"})
	default:
		s.Expires = time.Now().Add(req.TTL)
		f.set(s)
		answer(w, s)
	}
}

func (f *fakeDaemon) logs(w http.ResponseWriter, r *http.Request) {
	s, _ := f.get(r.PathValue("id"))
	if s.ID == "" {
		unknown(w, r)
		return
	}
	answer(w, api.LogLine{Stream: "stdout", Text: "hello\tworld"})
	answer(w, api.LogLine{Stream: "stderr", Text: evil})
	if s.Host == "lost" {
		answer(w, map[string]any{"error": api.Error{Code: api.CodeStore, Message: "the log is damaged", Hint: "none"}})
		return
	}
	if r.URL.Query().Get("follow") == "true" {
		f.waitClosed(r, s.ID)
		answer(w, api.LogLine{Stream: "server", Text: "the end"})
	}
}

func (f *fakeDaemon) events(w http.ResponseWriter, r *http.Request) {
	answer(w, api.Event{Time: time.Unix(0, 0), Kind: "started", Text: "brokerd"})
	answer(w, api.Event{Time: time.Unix(1, 0), Session: "s1", Kind: "opened", Text: evil})
	if r.URL.Query().Get("follow") == "true" {
		<-r.Context().Done()
	}
}

func (f *fakeDaemon) hosts(w http.ResponseWriter, _ *http.Request) {
	answer(w, []api.Host{
		{Name: "web1", HostName: "web1.example.com", User: "me", Port: 22, Link: &api.Link{State: "up", RTT: 12.34}, Sessions: 1, Forwards: 2, SSHForwards: 3},
		{Name: "db", HostName: "10.0.0.2", User: "root", Port: 2222, Link: &api.Link{State: "needs-auth", Error: &api.Error{Code: api.CodeAuth, Message: "db asks: " + evil}}},
	})
}

func (f *fakeDaemon) processes(w http.ResponseWriter, r *http.Request) {
	var req api.ProcessesRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, &api.Error{Code: api.CodeUsage, Message: err.Error()})
		return
	}
	if e := (&api.Error{Code: api.Code(req.Host), Message: "it is " + req.Host, Hint: "do " + req.Host}); knownCode(e.Code) {
		fail(w, e)
		return
	}
	at := func(s string) *string { return &s }
	var list []api.Process
	switch req.Host {
	case "empty":
	case "evil":
		list = []api.Process{{PID: 7, Lang: "python", Command: []string{evil, "x"}, User: evil, Listening: at(evil), Tracer: &api.Tracer{PID: 8, Command: evil}, Container: evil, Cwd: evil}}
	case "crowd":
		for i := range 30 {
			list = append(list, api.Process{PID: 100 + i, Lang: "python", Command: []string{"python3", fmt.Sprintf("/srv/worker%d.py", i)}, User: "me"})
		}
	default:
		list = []api.Process{
			{PID: 41, Lang: "go", Command: []string{"/srv/shop", "--listen", ":80"}, User: "me"},
			{PID: 52, Lang: "python", Command: []string{"python3", "/srv/app.py", "two words"}, User: "me", Cwd: "/srv"},
			{PID: 53, Lang: "python", Command: []string{"python3", "-m", "debugpy", "--listen", "5678", "w.py"}, User: "me", Listening: at("127.0.0.1:5678"), Server: true},
			{PID: 60, Lang: "python", Command: []string{"python3", "traced.py"}, User: "me", Tracer: &api.Tracer{PID: 61, Command: "gdb"}},
			{PID: 70, Lang: "python", Command: []string{"python3", "theirs.py"}, User: "root", Container: "docker 3f2a91c0ffee"},
			{PID: 80, Lang: "python", Command: []string{"python3", "ours.py"}, User: "me", Session: "s1"},
			{PID: 90, Lang: "node", User: "me"},
		}
		if req.Sudo {
			list = append(list, api.Process{PID: 91, Lang: "node", Command: []string{"node", "sudo.js"}, User: "root"})
		}
	}
	answer(w, slices.DeleteFunc(list, func(p api.Process) bool { return req.Lang != "" && p.Lang != req.Lang }))
}

// doctor has something to complain of on any host but "web1".
func (f *fakeDaemon) doctor(w http.ResponseWriter, r *http.Request) {
	var req api.DoctorRequest
	json.NewDecoder(r.Body).Decode(&req)
	if req.Host == "silent" {
		return
	}
	answer(w, api.Check{Check: "asked", OK: true, Detail: fmt.Sprintf("host %q, local %v, language %q", req.Host, req.Local, req.Lang)})
	switch req.Host {
	case "web1", "":
	case "broken":
		fail(w, &api.Error{Code: api.CodeStore, Message: "the ledger is damaged", Hint: "none"})
	default:
		answer(w, api.Check{Check: "host key", Detail: evil, Hint: evil})
	}
}

// answerPrompt takes an answer in.
func (f *fakeDaemon) answerPrompt(w http.ResponseWriter, r *http.Request) {
	var a api.PromptAnswer
	json.NewDecoder(r.Body).Decode(&a)
	f.answers <- r.PathValue("id") + "=" + a.Answer
	answer(w, struct{}{})
}

// nextAnswer waits for one as long as the request does.
func (f *fakeDaemon) nextAnswer(r *http.Request) string {
	select {
	case a := <-f.answers:
		return a
	case <-r.Context().Done():
		return ""
	}
}

// auth asks two questions, shown and not, where the host is "asks", and takes one back where it is "forgets".
func (f *fakeDaemon) auth(w http.ResponseWriter, r *http.Request) {
	var req api.AuthRequest
	json.NewDecoder(r.Body).Decode(&req)
	answer(w, api.AuthEvent{Progress: "connecting to " + req.Host})
	if req.Host == "asks" || req.Host == "forgets" {
		prompt := api.Prompt{ID: "p1", Host: evil, Kind: "code", Note: evil + "\n" + evil, Text: evil + "?", Echo: true}
		answer(w, api.AuthEvent{Prompt: &prompt})
		by := "nothing"
		if req.Host == "asks" {
			by = f.nextAnswer(r)
			prompt.ID, prompt.Echo = "p2", false
			answer(w, api.AuthEvent{Prompt: &prompt})
			by += " " + f.nextAnswer(r)
		} else {
			f.nextAnswer(r) // the test's
			answer(w, api.AuthEvent{Withdrawn: "p1"})
		}
		answer(w, api.AuthEvent{Result: &api.AuthResult{Host: req.Host, User: "me", By: by}})
		return
	}
	if e := (&api.Error{Code: api.Code(req.Host), Message: "it is " + req.Host, Hint: "do " + req.Host}); knownCode(e.Code) {
		answer(w, api.AuthEvent{Error: e})
		return
	}
	result := api.AuthResult{Host: req.Host, User: "deploy", By: "password", Already: req.Host == "web2", Link: &api.Link{State: "up", RTT: 12.5}}
	switch {
	case req.CanPrompt:
		result.By = "a question that cannot be answered here"
	case req.Host == "evil":
		result.User, result.By = evil, evil
	case req.Host == "open":
		result.By = ""
	}
	answer(w, api.AuthEvent{Result: &result})
}

func (f *fakeDaemon) stop(w http.ResponseWriter, _ *http.Request) {
	answer(w, struct{}{})
	close(f.quit)
}
