package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	footprintHosts   = 20
	footprintPerHost = 5
)

// benchFootprint holds brokerd with forwards to many hosts, all up and idle, against an autossh (with the ssh that it watches) a forward.
func benchFootprint(b *testing.B, r *report) {
	autossh := tools.Need(b, tools.Autossh)
	port := serveEcho(b)
	var include strings.Builder
	for i := range footprintHosts {
		s := sshd.New(b, sshd.Options{Alias: fmt.Sprintf("host%d", i), MaxStartups: "100"})
		fmt.Fprintf(&include, "Include %s\n", s.ConfigFile())
	}
	config := filepath.Join(b.TempDir(), "ssh_config")
	if err := os.WriteFile(config, []byte(include.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	broker := brokertest.New(b, brokertest.Options{SSHConfig: config})
	var addrs []string
	for i := range footprintHosts {
		for range footprintPerHost {
			addrs = append(addrs, brokerForward(broker, fmt.Sprintf("host%d", i), port))
		}
	}
	var watchers []*child
	for i := range footprintHosts {
		for range footprintPerHost {
			local := freeport.On127(b)
			addrs = append(addrs, "127.0.0.1:"+strconv.Itoa(local))
			watchers = append(watchers, start(b, autosshBest, autossh, "-F", config, "-o", "BatchMode=yes",
				"-N", "-L", fmt.Sprintf("%d:127.0.0.1:%d", local, port), fmt.Sprintf("host%d", i)))
		}
	}
	for _, addr := range addrs {
		if _, err := recovered(b.Context(), addr); err != nil {
			b.Fatalf("%s: %v", addr, err)
		}
	}
	var theirs []int
	for _, w := range watchers {
		theirs = append(theirs, family(b, w.cmd.Process.Pid)...)
	}
	u := watch(b, []int{broker.PID()}, theirs)
	ours, others := u[0], u[1]
	rows := [][]string{
		{"", "processes", "RSS", "PSS", "CPU", "wake-ups/s", "threads"},
		{"brokerd", "1", mib(ours.rss), mib(ours.pss), ours.share(), ours.wakes(), strconv.Itoa(ours.threads)},
		{"autossh and ssh", strconv.Itoa(len(theirs)), mib(others.rss), mib(others.pss), others.share(), others.wakes(), strconv.Itoa(others.threads)},
		{"ratio", "", fmt.Sprintf("%.1fx", float64(others.rss)/float64(ours.rss)), fmt.Sprintf("%.1fx", float64(others.pss)/float64(ours.pss)), "", "", ""},
	}
	r.table(fmt.Sprintf("%d idle forwards to %d hosts, all up, watched for %s", footprintHosts*footprintPerHost, footprintHosts, idleWatch), rows)
	metric(b, float64(others.rss)/float64(ours.rss), "x-autossh-RSS")
	b.ReportMetric(float64(others.pss)/float64(ours.pss), "x-autossh-PSS")
}

// family is a process and its children, which have come by now: their forwards work.
func family(b testing.TB, pid int) []int {
	b.Helper()
	pids := []int{pid}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			b.Fatal(err)
		}
		pids = append(pids, family(b, n)...)
	}
	return pids
}
