package sshconfig

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tick is more than the time between two changes of a file that its time does not tell apart.
const tick = time.Second

// stamp tells whether a file or directory is still what it was.
type stamp struct {
	path  string
	mtime time.Time
	mode  os.FileMode
	size  int64 // -1: it does not exist
	inode uint64
}

// stamps are all files that a configuration comes from.
type stamps struct {
	list    []stamp
	dynamic bool // it depends on more than files
	broken  []error
}

func (s stamps) equal(o stamps) bool {
	return s.dynamic == o.dynamic && slices.EqualFunc(s.list, o.list, func(a, b stamp) bool {
		return a.path == b.path && a.size == b.size && a.mode == b.mode && a.inode == b.inode && a.mtime.Equal(b.mtime)
	})
}

// stampConfig stamps the files that ssh reads, Includes and the directories that these name among them.
func stampConfig(from sources) stamps {
	var s stamps
	walkConfig(from, &walker{
		source: func(path string) { s.list = append(s.list, stampOf(path)) },
		broken: func(err error) {
			s.broken, s.dynamic = append(s.broken, err), true // what lies behind is not seen
		},
		include: func(pattern string) string {
			if strings.ContainsAny(pattern, "%$") {
				s.dynamic = true // which file it is depends on the host and the environment
			}
			return pattern
		},
		line: func(l configLine) {
			switch l.keyword {
			case "match":
				s.dynamic = s.dynamic || slices.ContainsFunc(l.args, func(arg string) bool {
					name, _, _ := strings.Cut(strings.TrimPrefix(lower(arg), "!"), "=")
					return name == "exec" || name == "localnetwork"
				})
			case "canonicalizehostname", "canonicalizepermittedcnames":
				s.dynamic = true // the name service decides
			}
		},
	})
	return s
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{path: path, size: -1}
	}
	made := stamp{path: path, mtime: info.ModTime(), mode: info.Mode(), size: info.Size()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		made.inode = stat.Ino // all files that some package managers make have one and the same time
	}
	return made
}

// young tells whether a file has changed so lately that a further change might leave its time as it is: clocks of file systems tick coarsely.
func (s stamps) young(now time.Time) bool {
	return slices.ContainsFunc(s.list, func(f stamp) bool { return f.size >= 0 && now.Sub(f.mtime).Abs() < tick })
}
