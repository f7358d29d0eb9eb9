package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// report collects tables until the last benchmark has ended: they would stand in the midst of go test's own lines.
type report struct{ text strings.Builder }

// table adds a table; the first row is its head.
func (r *report) table(title string, rows [][]string) {
	fmt.Fprintf(&r.text, "\n%s\n", title)
	w := tabwriter.NewWriter(&r.text, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintf(w, "\t%s\t\n", strings.Join(row, "\t"))
	}
	w.Flush()
}

func (r *report) note(format string, args ...any) { fmt.Fprintf(&r.text, "  "+format+"\n", args...) }

func (r *report) print() {
	if r.text.Len() > 0 {
		fmt.Fprintf(os.Stdout, "\n%s%s\n", machine(), &r.text)
	}
}

// machine says what was measured on.
func machine() string {
	var u unix.Utsname
	kernel := ""
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("machine: %d cores (%s), Linux %s %s, %s, %s, load %s", runtime.NumCPU(), processor(), kernel, runtime.GOARCH, runtime.Version(),
		version("ssh", "-V"), strings.Join(strings.Fields(string(load))[:3], " "))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// version is the first line that a program prints about itself.
func version(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return argv[0] + ": " + err.Error()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// samples are times of the same thing, in the order taken.
type samples []time.Duration

// at is the sample of which the share q of all are shorter or equal (nearest rank).
func (s samples) at(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (s samples) p50() time.Duration { return s.at(0.50) }
func (s samples) p99() time.Duration { return s.at(0.99) }

// mean tells of samples that come in clusters what a median hides.
func (s samples) mean() time.Duration {
	var sum time.Duration
	for _, d := range s {
		sum += d
	}
	return sum / time.Duration(len(s))
}

// over is the share of the samples that are longer than limit.
func (s samples) over(limit time.Duration) float64 {
	n := 0
	for _, d := range s {
		if d > limit {
			n++
		}
	}
	return float64(n) / float64(len(s))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func times(r float64) string { return fmt.Sprintf("%.1fx", r) }

// metric makes go test's line for a benchmark tell a ratio instead of the time that all of it took.
func metric(b *testing.B, value float64, unit string) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(value, unit)
}
