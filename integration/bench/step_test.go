package bench

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	stepWarmUp = 10
	stepCount  = 100
	// stepBudget ends the taking of samples early on a machine that is slower than any that was seen.
	stepBudget = 90 * time.Second
	// stall is the shortest delayed acknowledgement of Linux (TCP_DELACK_MIN, include/net/tcp.h).
	stall = 40 * time.Millisecond
)

// debuggee is a program for steps, and how its debug server is had.
type debuggee struct {
	lang   string
	path   string // of the source
	open   []string
	attach map[string]any
	serve  func() (port int) // starts a debug server by hand
	server string
}

func benchSteps(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	b.Run("go", func(b *testing.B) {
		dlv := tools.NeedDlv(b)
		binary := programs.BuildGo(b, "looper")
		benchStep(b, r, ssh, debuggee{
			lang: "go", path: programs.Path(b, "go/looper/main.go"), attach: map[string]any{"mode": "remote"},
			open:   []string{"--interpreter", dlv, "--", binary},
			serve:  func() int { return startDelve(b, dlv, binary) },
			server: "Delve",
		})
	})
	b.Run("python", func(b *testing.B) {
		python := tools.Need(b, tools.Python)
		path := programs.Path(b, "python/looper.py")
		benchStep(b, r, ssh, debuggee{
			lang: "python", path: path, attach: map[string]any{"justMyCode": false},
			open:   []string{"--interpreter", python, "--", path},
			serve:  func() int { return startDebugpy(b, python, path) },
			server: "debugpy",
		})
	})
}

// way is one of the ways to a debug server, with a server and a program of its own.
type way struct {
	name  string
	dap   expect.DAP
	took  samples
	lasts int // the thread that stopped last
}

func benchStep(b *testing.B, r *report, ssh string, d debuggee) {
	s := sshd.New(b, sshd.Options{})
	broker := brokertest.New(b, brokertest.Options{Server: s})
	session := broker.Open(append([]string{"box:" + d.lang}, d.open...)...)
	_, tunnelled := forward(b, s, ssh, d.serve())
	ways := []*way{
		{name: "brokerctl open", dap: expect.DialDAP(b, session.Local)},
		{name: "ssh -L", dap: expect.DialDAP(b, tunnelled)},
		{name: "straight", dap: expect.DialDAP(b, net.JoinHostPort("127.0.0.1", strconv.Itoa(d.serve())))},
	}
	line := programs.BreakLine(b, d.path)
	for _, w := range ways {
		w.dap.Begin(d.attach, d.path, line)
		w.lasts = w.dap.WaitStopped("").ThreadId
		// From here on the steps alone stop it. go-dap's type leaves out an empty list, and debugpy then does not answer.
		none := map[string]any{"source": map[string]any{"path": d.path}, "breakpoints": []any{}}
		if err := w.dap.Call(b.Context(), "setBreakpoints", none, nil); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*stepBudget)
	defer cancel()
	began := time.Now()
	for i := range stepWarmUp + stepCount {
		for j := range ways {
			w := ways[(i+j)%len(ways)] // whoever is first today is last tomorrow
			took, err := w.step(ctx)
			if err != nil {
				b.Fatalf("step %d, %s: %v", i, w.name, err)
			}
			if i >= stepWarmUp {
				w.took = append(w.took, took)
			}
		}
		if time.Since(began) > stepBudget && len(ways[0].took) > 0 {
			break
		}
	}
	base := ways[1].took
	rows := [][]string{{"way", "p50", "p99", "mean", "over " + stall.String(), "faster than ssh -L (p50)", "(p99)", "(mean)"}}
	for _, w := range ways {
		rows = append(rows, []string{w.name, ms(w.took.p50()), ms(w.took.p99()), ms(w.took.mean()), fmt.Sprintf("%.0f%%", 100*w.took.over(stall)),
			times(ratio(base.p50(), w.took.p50())), times(ratio(base.p99(), w.took.p99())), times(ratio(base.mean(), w.took.mean()))})
	}
	r.table(fmt.Sprintf("One step with %s (next, stopped, threads, stackTrace, scopes, variables, in series), %d of each way, in turns", session.Server, len(base)), rows)
	if d.lang == "go" {
		r.note("steps over ssh -L come in clusters some 43 ms apart (none to five such stalls a step), and how many have none varies from run to")
		r.note("run: where most have none, the p50 of ssh -L is that of a step without, and the ratio of the p50s falls below 1. Read the mean too.")
	}
	metric(b, ratio(base.p50(), ways[0].took.p50()), "x-ssh-L-p50")
	b.ReportMetric(ratio(base.mean(), ways[0].took.mean()), "x-ssh-L-mean")
	for _, w := range ways {
		w.dap.Close()
	}
	broker.Close(session.ID)
}

// step is what an editor does when its user steps: it asks for all that it shows, in series since each question needs the answer before.
func (w *way) step(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := w.dap.DAP.Next(ctx, w.lasts); err != nil {
		return 0, err
	}
	stop, err := w.dap.DAP.WaitStopped(ctx)
	if err != nil {
		return 0, err
	}
	w.lasts = stop.ThreadId
	if _, err := w.dap.DAP.Threads(ctx); err != nil {
		return 0, err
	}
	frame, locals, err := w.dap.DAP.Locals(ctx, w.lasts)
	took := time.Since(began)
	if err == nil && len(locals) < 3 {
		err = fmt.Errorf("variables of the wrong place, line %d: %v", frame.Line, locals)
	}
	return took, err
}
