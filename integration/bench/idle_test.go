package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	// idleSettle lets what opening began come to its end: probes' channels, the garbage of the opens.
	idleSettle = 3 * time.Second
	idleWatch  = 10 * time.Second
	// ticks of utime and stime a second, USER_HZ, which is 100 on every Linux that Go runs on (proc(5), sysconf(_SC_CLK_TCK)).
	ticksPerSecond = 100
	// openAtOnce is how many opens run side by side.
	openAtOnce = 2
)

// idleCounts are the sessions that are there at each look.
var idleCounts = []int{1, 10, 100}

func benchIdle(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	var alone []usage
	b.Run("ssh", func(b *testing.B) {
		s := sshd.New(b, sshd.Options{})
		port := listenSilently(b)
		var pids []int
		for _, n := range idleCounts {
			for len(pids) < n {
				c, _ := forward(b, s, ssh, port)
				pids = append(pids, c.cmd.Process.Pid)
			}
			alone = append(alone, watch(b, pids...))
		}
		metric(b, float64(alone[len(alone)-1].pss), "KiB-PSS-100")
	})
	title := "brokerd with idle sessions on one host, against as many `ssh -N -L` (all of them together)"
	b.Run("port", func(b *testing.B) {
		port := listenSilently(b)
		rows := idleRows(b, alone, []string{"box:python", "--port", strconv.Itoa(port)})
		r.table(title+": sessions to a port (nothing runs on the host)", rows)
	})
	b.Run("launch", func(b *testing.B) {
		node := tools.Need(b, tools.Node)
		rows := idleRows(b, alone, []string{"box:node", "--interpreter", node, "--", programs.Path(b, "node/idle.js")})
		r.table(title+": launched programs (node, one SSH channel each, ten a connection)", rows)
	})
	r.note("PSS: memory with shared pages shared out; CPU and wake-ups (voluntary context switches) over %s", idleWatch)
}

// idleRows opens ever more sessions and looks at the daemon at each of idleCounts.
func idleRows(b *testing.B, alone []usage, open []string) [][]string {
	s := sshd.New(b, sshd.Options{})
	broker := brokertest.New(b, brokertest.Options{Server: s})
	rows := [][]string{{"sessions", "RSS", "PSS", "CPU", "wake-ups/s", "threads", "ssh: PSS", "CPU", "wake-ups/s", "PSS against ssh"}}
	sessions := 0
	var last float64
	for i, n := range idleCounts {
		openMany(broker, n-sessions, open)
		sessions = n
		u := watch(b, broker.PID())
		row := []string{strconv.Itoa(n), kib(u.rss), kib(u.pss), u.share(), u.wakes(), strconv.Itoa(u.threads)}
		if i < len(alone) {
			last = float64(u.pss) / float64(alone[i].pss)
			row = append(row, kib(alone[i].pss), alone[i].share(), alone[i].wakes(), fmt.Sprintf("%.2fx", last))
		}
		rows = append(rows, row)
	}
	metric(b, last, "x-ssh-PSS-100")
	for _, c := range brokertest.JSON[[]api.Closed](broker, "close", "--all") {
		if len(c.Left) > 0 {
			b.Errorf("close %s left %q", c.ID, c.Left)
		}
	}
	return rows
}

func openMany(broker *brokertest.Broker, n int, open []string) {
	var wg sync.WaitGroup
	room := make(chan struct{}, openAtOnce)
	for range n {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			broker.Open(open...)
		})
	}
	wg.Wait()
}

// listenSilently is a port on loopback behind which nobody speaks.
func listenSilently(b testing.TB) int {
	b.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// usage is what processes took together.
type usage struct {
	rss, pss int // KiB
	ticks    int // of CPU, in idleWatch
	switches int // voluntary, in idleWatch
	threads  int
}

func (u usage) share() string {
	return fmt.Sprintf("%.2f%%", 100*float64(u.ticks)/ticksPerSecond/idleWatch.Seconds())
}

func (u usage) wakes() string { return fmt.Sprintf("%.1f", float64(u.switches)/idleWatch.Seconds()) }

func kib(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/1024) }

// watch lets processes be for a while and says what they took in it, and hold at its end.
func watch(b testing.TB, pids ...int) usage {
	b.Helper()
	time.Sleep(idleSettle) // nothing is to happen: there is no event to wait for
	before := taken(b, pids)
	time.Sleep(idleWatch)
	u := taken(b, pids)
	u.ticks -= before.ticks
	u.switches -= before.switches
	return u
}

func taken(b testing.TB, pids []int) usage {
	b.Helper()
	var u usage
	for _, pid := range pids {
		if err := u.add(pid); err != nil {
			b.Fatal(err)
		}
	}
	return u
}

// add reads proc(5): smaps_rollup in KiB, the 14th and 15th field of stat, and status of each thread.
func (u *usage) add(pid int) error {
	dir := fmt.Sprintf("/proc/%d/", pid)
	memory, err1 := fields(dir + "smaps_rollup")
	stat, err2 := os.ReadFile(dir + "stat")
	threads, err3 := os.ReadDir(dir + "task")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	u.rss += memory["Rss"]
	u.pss += memory["Pss"]
	after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third field on
	for _, i := range []int{14 - 3, 15 - 3} {
		n, err := strconv.Atoi(after[i])
		if err != nil {
			return err
		}
		u.ticks += n
	}
	for _, t := range threads {
		status, err := fields(dir + "task/" + t.Name() + "/status")
		if err != nil {
			continue // the thread has ended
		}
		u.threads++
		u.switches += status["voluntary_ctxt_switches"]
	}
	return nil
}

// fields reads lines "Name: NUMBER …".
func fields(path string) (map[string]int, error) {
	text, err := os.ReadFile(path)
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if n, err := strconv.Atoi(words[0]); err == nil {
				out[name] = n
			}
		}
	}
	return out, err
}
