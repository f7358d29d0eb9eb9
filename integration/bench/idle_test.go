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
	idleSettle = 2 * time.Second
	idleWatch  = 10 * time.Second
	// ticks of utime and stime a second, USER_HZ, which is 100 on every Linux that Go runs on (proc(5), sysconf(_SC_CLK_TCK)).
	ticksPerSecond = 100
	// openAtOnce is how many opens run side by side.
	openAtOnce = 2
)

// idleCounts are the sessions that are there at each look.
var idleCounts = []int{1, 10, 100}

// idleHead is the head of the tables; what stands for ssh is all processes together.
var idleHead = []string{"sessions", "RSS", "PSS", "CPU", "wake-ups/s", "threads", "ssh: PSS", "CPU", "wake-ups/s", "PSS against ssh"}

func benchIdle(b *testing.B, r *report) {
	var alone []usage // of `ssh -N -L`, a process a forward
	b.Run("port", func(b *testing.B) {
		ssh := tools.Need(b, tools.SSH)
		s := sshd.New(b, sshd.Options{})
		port := listenSilently(b)
		var forwards []int
		rows := idleRows(b, s, []string{"box:python", "--port", strconv.Itoa(port)}, func(i, pid int) (usage, usage) {
			for len(forwards) < idleCounts[i] {
				c, _ := forward(b, s, ssh, port)
				forwards = append(forwards, c.cmd.Process.Pid)
			}
			u := watch(b, []int{pid}, forwards)
			alone = append(alone, u[1])
			return u[0], u[1]
		})
		r.table("brokerd with idle sessions to a port of one host, against a `ssh -N -L` each (all of them together)", rows)
	})
	b.Run("launch", func(b *testing.B) {
		node := tools.Need(b, tools.Node)
		s := sshd.New(b, sshd.Options{})
		open := []string{"box:node", "--interpreter", node, "--", programs.Path(b, "node/idle.js")}
		rows := idleRows(b, s, open, func(i, pid int) (usage, usage) {
			if i >= len(alone) {
				b.Fatal("run idle/port too: it measures what this is compared with")
			}
			return watch(b, []int{pid})[0], alone[i]
		})
		r.table("brokerd with idle launched programs (node, an SSH channel each, ten a connection), against the same `ssh -N -L`", rows)
	})
	r.note("PSS: memory with shared pages shared out; CPU and wake-ups (voluntary context switches): in %s", idleWatch)
}

// idleRows opens ever more sessions and has look compare the daemon with ssh at each of idleCounts.
func idleRows(b *testing.B, s *sshd.Server, open []string, look func(i, pid int) (broker, ssh usage)) [][]string {
	broker := brokertest.New(b, brokertest.Options{Server: s})
	rows := [][]string{idleHead}
	sessions := 0
	var last float64
	for i, n := range idleCounts {
		openMany(broker, n-sessions, open)
		sessions = n
		u, ssh := look(i, broker.PID())
		last = float64(ssh.pss) / float64(u.pss)
		rows = append(rows, []string{strconv.Itoa(n), mib(u.rss), mib(u.pss), u.share(), u.wakes(), strconv.Itoa(u.threads),
			mib(ssh.pss), ssh.share(), ssh.wakes(), fmt.Sprintf("%.2fx", 1/last)})
	}
	metric(b, last, "x-ssh-PSS")
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

func mib(kib int) string { return fmt.Sprintf("%.1f MiB", float64(kib)/1024) }

// watch lets groups of processes be for a while and says what each group took in it, and holds at its end.
func watch(b testing.TB, groups ...[]int) []usage {
	b.Helper()
	time.Sleep(idleSettle) // nothing is to happen: there is no event to wait for
	var before, after []usage
	for _, pids := range groups {
		before = append(before, taken(b, pids))
	}
	time.Sleep(idleWatch)
	for i, pids := range groups {
		u := taken(b, pids)
		u.ticks -= before[i].ticks
		u.switches -= before[i].switches
		after = append(after, u)
	}
	return after
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
