package tunnel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxProcesses bounds what Processes takes from a far side; Linux has at most 4194304, of which nobody would want to see so many.
const maxProcesses = 65536

// The files and links of each process that scripts/processes.sh prints, in its order.
const (
	fileStat = iota
	fileStatus
	fileCmdline
	fileCgroup
	filesEach
)

const (
	linkExe = iota
	linkCwd
	linkPIDs
	linkMounts
	linkNet
	linksEach
)

// rawProcess is what was read of one process.
type rawProcess struct {
	pid   int
	files [filesEach]string
	links [linksEach]string
	root  string // device and inode of its root directory
	exe   string // those of its executable
}

// parseProcesses reads what scripts/processes.sh prints. between ends its sections. In the second section is what parts the files
// of the third: the environment of the program that printed them, with secret in it, which nobody else has seen.
func parseProcesses(text string, between, secret marker) ([]ProcessInfo, error) {
	part := strings.Split(text, string(between))
	if len(part) != 10 {
		return nil, errors.New("incomplete answer")
	}
	head := strings.Fields(part[0])
	if len(head) < 3 || len(head) > maxProcesses || !idPattern.MatchString(head[0]) {
		return nil, fmt.Errorf("unexpected answer %q", cleanText(part[0], 200))
	}
	if !strings.Contains(part[1], string(secret)) {
		return nil, noProcesses(errors.New("/proc does not show a program its own environment"))
	}
	files := strings.Split(part[2], part[1])[1:] // nothing is before the first
	if len(files) != filesEach*len(head[2:]) {
		return nil, fmt.Errorf("unexpected answer: %d files of %d processes", len(files), len(head[2:]))
	}
	links, err := parseLinks(part[3], len(head[2:]))
	if err != nil {
		return nil, err
	}
	self, err := strconv.Atoi(head[1])
	if err != nil {
		return nil, fmt.Errorf("unexpected answer %q", cleanText(part[0], 200))
	}
	raws := make([]rawProcess, len(head[2:]))
	byPID := make(map[int]*rawProcess, len(raws))
	for i, word := range head[2:] {
		raw := &raws[i]
		if raw.pid, err = strconv.Atoi(word); err != nil || raw.pid <= 0 {
			continue
		}
		copy(raw.files[:], files[filesEach*i:])
		copy(raw.links[:], links[linksEach*i:])
		byPID[raw.pid] = raw
	}
	parseStats(part[6], byPID)
	tracers := parseTracers(part[5])
	users, marks := parseUsers(part[4]), parseMarks(part[7], part[8], byPID)
	us := new(rawProcess)
	if raw := byPID[self]; raw != nil {
		us = raw
	}
	var list []ProcessInfo
	for _, raw := range byPID {
		p, ok := raw.info(us)
		if !ok {
			continue // it is gone meanwhile, or nobody's
		}
		p.ID.Boot = head[0]
		if pid := tracers[p.Tracer]; pid != 0 {
			p.Tracer = pid
		}
		if p.User = users[p.UID]; p.User == "" {
			p.User = strconv.Itoa(p.UID)
		}
		if raw.exe != "" && marks.goExes[raw.exe] {
			p.Marks = append(p.Marks, "go")
		}
		p.Marks = append(p.Marks, marks.libs[raw.pid]...)
		list = append(list, p)
	}
	return withoutTree(list, self), nil
}

// parseLinks reads words that end with NUL: a number, and behind it what the next link leads to if that can be read. Only the number
// is no path and no "pid:[…]", so nobody's path is mistaken for it.
func parseLinks(text string, processes int) ([]string, error) {
	links := make([]string, 0, processes*linksEach)
	for word := range strings.SplitSeq(text, "\x00") {
		if isDigits(word) {
			links = append(links, "")
		} else if word != "" && len(links) > 0 {
			links[len(links)-1] = word
		}
	}
	if len(links) != processes*linksEach {
		return nil, fmt.Errorf("unexpected answer: %d links of %d processes", len(links), processes)
	}
	return links, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseStats notes what executable and root directory a process has: "DEVICE:INODE SIZE PID/exe" lines.
func parseStats(text string, byPID map[int]*rawProcess) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		word, what, _ := strings.Cut(f[2], "/")
		pid, err := strconv.Atoi(word)
		raw := byPID[pid]
		switch {
		case err != nil || raw == nil:
		case what == "exe":
			raw.exe = f[0]
		case what == "root":
			raw.root = f[0]
		}
	}
}

// parseUsers reads lines as passwd(5) has them.
func parseUsers(text string) map[int]string {
	users := map[int]string{}
	for line := range strings.Lines(text) {
		f := strings.SplitN(line, ":", 4)
		if len(f) < 4 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && users[uid] == "" {
			users[uid] = cleanText(f[0], 64)
		}
	}
	return users
}

// parseTracers reads "TID/status:Tgid: PID" lines: the processes of the threads that trace.
func parseTracers(text string) map[int]int {
	tracers := map[int]int{}
	for line := range strings.Lines(text) {
		word, value, _ := strings.Cut(line, "/status:Tgid:")
		tid, err := strconv.Atoi(word)
		pid, pidErr := strconv.Atoi(strings.TrimSpace(value))
		if err == nil && pidErr == nil && pid > 0 {
			tracers[tid] = pid
		}
	}
	return tracers
}

// codeMarks are what grep found: executables by device and inode, and libraries.
type codeMarks struct {
	goExes map[string]bool
	libs   map[int][]string
}

// parseMarks reads "PID/exe" lines, one of all the processes that have such an executable, and "PID/maps:/libpython3.11.so" lines.
func parseMarks(exes, maps string, byPID map[int]*rawProcess) codeMarks {
	m := codeMarks{goExes: map[string]bool{}, libs: map[int][]string{}}
	for line := range strings.Lines(exes) {
		word, _, _ := strings.Cut(line, "/")
		if pid, err := strconv.Atoi(word); err == nil && byPID[pid] != nil {
			m.goExes[byPID[pid].exe] = true
		}
	}
	for line := range strings.Lines(maps) {
		word, lib, _ := strings.Cut(line, "/maps:/")
		pid, err := strconv.Atoi(word)
		if err != nil {
			continue
		}
		for _, mark := range []string{"libpython", "libjvm", "libnode"} {
			if strings.HasPrefix(lib, mark) && !slices.Contains(m.libs[pid], mark) {
				m.libs[pid] = append(m.libs[pid], mark)
			}
		}
	}
	return m
}

// info is false for what is no process to tell of: it is gone, a zombie, or a thread of the kernel.
func (raw *rawProcess) info(us *rawProcess) (ProcessInfo, bool) {
	p := ProcessInfo{ID: ProcessID{PID: raw.pid}}
	// The name, in front, may hold anything; behind it are numbers.
	f := strings.Fields(raw.files[fileStat][strings.LastIndex(raw.files[fileStat], ") ")+1:])
	if len(f) < 20 || !isDigits(f[19]) {
		return p, false
	}
	p.ID.Start = f[19]
	threads, complete := 1, false
	for line := range strings.Lines(raw.files[fileStatus]) { // the kernel writes a line end in the name as \n
		key, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		n, numErr := strconv.Atoi(words[0])
		switch key {
		case "State":
			p.State = words[0][:1]
		case "PPid":
			p.Parent = n
		case "TracerPid":
			p.Tracer = n
		case "Threads":
			threads = n
		case "Uid":
			if uid, err := strconv.Atoi(words[min(1, len(words)-1)]); err == nil && numErr == nil {
				p.UID, complete = uid, true
			}
		case "SigCgt":
			p.Caught, _ = strconv.ParseUint(words[0], 16, 64)
		}
	}
	if p.State == "Z" && threads > 1 {
		p.State = "S" // only its first thread has ended
	}
	if !complete || p.State == "" || p.State == "Z" || p.State == "X" {
		return p, false
	}
	if line := strings.TrimRight(raw.files[fileCmdline], "\x00"); line != "" {
		p.Argv = strings.Split(line, "\x00")
	}
	p.Exe, p.Cwd = withoutDeleted(raw.links[linkExe]), withoutDeleted(raw.links[linkCwd])
	if p.Argv == nil && p.Exe == "" && (p.Parent == 2 || p.Parent == 0) {
		return p, false
	}
	place := placeOf(raw.files[fileCgroup])
	p.Unit, p.Group = place.unit, groupOf(raw.files[fileCgroup])
	if place.container != placeOf(us.files[fileCgroup]).container {
		p.Container = place.container
	}
	if p.Container == "" && raw.apart(us) {
		p.Container = otherNamespaces
	}
	return p, true
}

func withoutDeleted(path string) string { return strings.TrimSuffix(path, " (deleted)") }

// withoutTree leaves out a process and all below it: the script that has read the table.
func withoutTree(list []ProcessInfo, root int) []ProcessInfo {
	parent := make(map[int]int, len(list))
	for _, p := range list {
		parent[p.ID.PID] = p.Parent
	}
	list = slices.DeleteFunc(list, func(p ProcessInfo) bool {
		pid := p.ID.PID
		for range 64 { // a table that was read in pieces may have a ring in it
			if pid == root {
				return true
			}
			if pid = parent[pid]; pid <= 1 {
				return false
			}
		}
		return false
	})
	slices.SortFunc(list, func(a, b ProcessInfo) int { return cmp.Compare(a.ID.PID, b.ID.PID) })
	return list
}
