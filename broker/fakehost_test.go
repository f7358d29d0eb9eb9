package broker

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/debugbroker/debugbroker/tunnel"
)

// fakeHost is a far side for faults that a real one does not produce on demand. Its debug server is a TCP listener of the test.
type fakeHost struct {
	name     string
	endpoint string // what the process announces

	mu         sync.Mutex
	workspaces map[string]*fakeProcess // made and not reaped
	calls      []string
	startErr   error
	reapLeft   []string
	lostErr    error
	lostC      chan struct{}
	silent     bool // the process never announces itself
	server     net.Listener
	reaped     func(workspace string) error // called by Reap first; may be nil
	successor  *fakeHost                    // what the next connect finds, once this one is lost
	hung       chan struct{}                // what is asked once it is closed is never answered
	processes  []tunnel.ProcessInfo
	files      map[string]string // what ReadFile finds
	sockets    []tunnel.Listener
	adopted    []int
}

func newFakeHost(endpoint string) *fakeHost {
	return &fakeHost{endpoint: endpoint, workspaces: make(map[string]*fakeProcess), lostC: make(chan struct{}), hung: make(chan struct{})}
}

// wait is the way to the host and back.
func (h *fakeHost) wait(ctx context.Context) error {
	select {
	case <-h.hung:
		<-ctx.Done()
		return ctx.Err()
	default:
		return ctx.Err()
	}
}

func (h *fakeHost) note(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
}

// connect is the host as it is found now.
func (h *fakeHost) connect() tunnel.Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.successor != nil {
		return h.successor
	}
	return h
}

// lose is the loss of the link.
func (h *fakeHost) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lostErr = tunnel.ErrLinkLost
	for _, p := range h.workspaces {
		if p != nil {
			p.end(tunnel.Exit{}, tunnel.ErrLinkLost)
		}
	}
	close(h.lostC)
}

func (h *fakeHost) remaining() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.workspaces)
}

func (h *fakeHost) process() *fakeProcess {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.workspaces {
		return p
	}
	return nil
}

func (h *fakeHost) Name() string { return h.name }
func (h *fakeHost) Facts(context.Context) (tunnel.Facts, error) {
	return tunnel.Facts{OS: "linux", BootID: "boot", TempDir: "/tmp", UID: 1000}, nil
}
func (h *fakeHost) Run(ctx context.Context, _ string) (tunnel.Result, error) {
	return tunnel.Result{}, h.wait(ctx)
}
func (h *fakeHost) MakeWorkspace(ctx context.Context, path string) error {
	if err := h.wait(ctx); err != nil {
		return err
	}
	h.note("make " + path)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.workspaces[path] = nil
	return nil
}

func (h *fakeHost) Start(ctx context.Context, spec tunnel.Spec) (tunnel.Process, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.startErr != nil {
		return nil, h.startErr
	}
	p := newFakeProcess()
	h.workspaces[spec.Workspace] = p
	if !h.silent {
		go p.print("listening at " + h.endpoint + "\n")
	}
	return p, nil
}

func (h *fakeHost) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
func (h *fakeHost) ReadFile(_ context.Context, name string, _ int64) ([]byte, error) {
	if data, ok := h.files[name]; ok {
		return []byte(data), nil
	}
	return nil, tunnel.ErrNoSuchFile
}
func (h *fakeHost) WriteFile(context.Context, string, []byte, uint32) error { return nil }
func (h *fakeHost) Adopt(_ context.Context, _ string, pid int, _ bool) (tunnel.ProcessID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adopted = append(h.adopted, pid)
	return tunnel.ProcessID{Boot: "boot", PID: pid, Start: "2"}, nil
}

func (h *fakeHost) Reap(ctx context.Context, workspace string) ([]string, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	if h.reaped != nil {
		if err := h.reaped(workspace); err != nil {
			return nil, err
		}
	}
	h.note("reap " + workspace)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lostErr != nil {
		return nil, h.lostErr
	}
	if len(h.reapLeft) > 0 {
		return slices.Clone(h.reapLeft), nil
	}
	if p := h.workspaces[workspace]; p != nil {
		p.end(tunnel.Exit{Signal: "TERM"}, nil)
	}
	delete(h.workspaces, workspace)
	return nil, nil
}
func (h *fakeHost) Listeners(ctx context.Context) ([]tunnel.Listener, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	if h.sockets != nil || h.server == nil {
		return h.sockets, nil
	}
	a := h.server.Addr().(*net.TCPAddr)
	return []tunnel.Listener{{Addr: a.IP.String(), Port: a.Port, UID: -1}}, nil
}
func (h *fakeHost) Processes(ctx context.Context) ([]tunnel.ProcessInfo, error) {
	return h.processes, h.wait(ctx)
}
func (h *fakeHost) AsRoot() tunnel.Host                            { return h }
func (h *fakeHost) HandOver(context.Context, string, string) error { return nil }
func (h *fakeHost) Done() <-chan struct{}                          { return h.lostC }
func (h *fakeHost) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lostErr
}
func (h *fakeHost) Warnings() []string { return []string{"Compression is not honoured yet"} }
func (h *fakeHost) Release()           { h.note("release") }

type fakeProcess struct {
	out, errs  *io.PipeReader
	outW, errW *io.PipeWriter
	once       sync.Once
	ended      chan struct{}
	exit       tunnel.Exit
	err        error
}

func newFakeProcess() *fakeProcess {
	p := &fakeProcess{ended: make(chan struct{})}
	p.out, p.outW = io.Pipe()
	p.errs, p.errW = io.Pipe()
	return p
}

func (p *fakeProcess) print(s string) { io.WriteString(p.outW, s) }
func (p *fakeProcess) end(e tunnel.Exit, err error) {
	p.once.Do(func() {
		p.exit, p.err = e, err
		p.outW.Close()
		p.errW.Close()
		close(p.ended)
	})
}
func (p *fakeProcess) Stdin() io.WriteCloser { return nil }
func (p *fakeProcess) ID() tunnel.ProcessID {
	return tunnel.ProcessID{Boot: "boot", PID: 4242, Start: "1"}
}
func (p *fakeProcess) Stdout() io.Reader { return p.out }
func (p *fakeProcess) Stderr() io.Reader { return p.errs }
func (p *fakeProcess) Wait(ctx context.Context) (tunnel.Exit, error) {
	select {
	case <-p.ended:
		return p.exit, p.err
	case <-ctx.Done():
		return tunnel.Exit{}, ctx.Err()
	}
}
func (p *fakeProcess) Release() { p.end(tunnel.Exit{}, tunnel.ErrLinkLost) }
