package sshconfig

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxConfigFile  = 4 << 20 // bytes read of one file
	maxConfigFiles = 512
	maxInclude     = 16 // depth, as in ssh (readconf.c, READCONF_MAX_DEPTH)
)

// configLine is a line of a configuration file, taken apart.
type configLine struct {
	keyword string   // in lower case; "" for an empty line or a comment
	args    []string // without quotes
	raw     string   // what follows the keyword, quotes and all
}

// parseLine reads a line as ssh does (misc.c, strdelim and argv_split): the keyword ends at blank or =, arguments may be quoted.
func parseLine(text string) configLine {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return configLine{}
	}
	end := strings.IndexAny(text, " \t=\"")
	if end < 0 {
		return configLine{keyword: strings.ToLower(text)}
	}
	raw := strings.TrimLeft(text[end:], " \t")
	if rest, ok := strings.CutPrefix(raw, "="); ok {
		raw = strings.TrimLeft(rest, " \t")
	}
	return configLine{keyword: strings.ToLower(text[:end]), args: splitArgs(raw), raw: raw}
}

func splitArgs(raw string) []string {
	var args []string
	var arg strings.Builder
	var quote byte
	open := false // an argument is under way, be it empty
	flush := func() {
		if open {
			args = append(args, arg.String())
			arg.Reset()
			open = false
		}
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			arg.WriteByte(c)
		case c == '"' || c == '\'':
			quote, open = c, true
		case c == ' ' || c == '\t':
			flush()
		case c == '#' && !open:
			return args
		default:
			open = true
			arg.WriteByte(c)
		}
	}
	flush()
	return args
}

// stamp tells whether a file or directory is still what it was.
type stamp struct {
	path  string
	mtime time.Time
	size  int64 // -1: it does not exist
}

// stamps are all files that a configuration comes from.
type stamps struct {
	list    []stamp
	dynamic bool // it depends on more than files
}

func (s stamps) equal(o stamps) bool {
	return s.dynamic == o.dynamic && slices.EqualFunc(s.list, o.list, func(a, b stamp) bool {
		return a.path == b.path && a.size == b.size && a.mtime.Equal(b.mtime)
	})
}

// stampConfig stamps the files that ssh reads, Includes and the directories that these name among them.
func stampConfig(file, home string) stamps {
	var s stamps
	walkConfig(file, home, &walker{
		file: func(path string) { s.list = append(s.list, stampOf(path)) },
		line: func(l configLine) {
			if l.keyword != "match" {
				return
			}
			for _, arg := range l.args {
				switch strings.ToLower(strings.TrimLeft(strings.SplitN(arg, "=", 2)[0], "!")) {
				case "exec", "localnetwork":
					s.dynamic = true
				}
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
	return stamp{path: path, mtime: info.ModTime(), size: info.Size()}
}

// walker is told of each file (and each directory that an Include names) before it is read, and of each line in the order in
// which ssh reads them. An Include is its files' lines, not a line.
type walker struct {
	file  func(path string)
	line  func(configLine)
	after func() // an Include has ended: what applied before it applies again

	files int
}

// walkConfig reads the file of `ssh -F`, or the user's and then the system's.
func walkConfig(file, home string, w *walker) {
	if file != "" {
		w.walk(file, filepath.Join(home, ".ssh"), home, 0)
		return
	}
	w.walk(filepath.Join(home, ".ssh", "config"), filepath.Join(home, ".ssh"), home, 0)
	if w.line != nil {
		w.line(configLine{keyword: "host", args: []string{"*"}, raw: "*"}) // the last block of one file ends with it
	}
	w.walk(systemConfig, filepath.Dir(systemConfig), home, 0)
}

func (w *walker) walk(path, base, home string, depth int) {
	if w.files++; depth > maxInclude || w.files > maxConfigFiles {
		return
	}
	if w.file != nil {
		w.file(path)
	}
	text, ok := readConfig(path)
	if !ok {
		return
	}
	for raw := range strings.Lines(text) {
		line := parseLine(raw)
		switch {
		case line.keyword == "":
		case line.keyword == "include":
			for _, pattern := range line.args {
				w.include(pattern, base, home, depth)
			}
			if w.after != nil {
				w.after()
			}
		case w.line != nil:
			w.line(line)
		}
	}
}

func (w *walker) include(pattern, base, home string, depth int) {
	switch {
	case strings.HasPrefix(pattern, "~/"):
		pattern = filepath.Join(home, pattern[2:])
	case !filepath.IsAbs(pattern):
		pattern = filepath.Join(base, pattern)
	}
	if w.file != nil && strings.ContainsAny(pattern, "*?[") {
		w.file(filepath.Dir(pattern)) // a new file changes it
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return
	}
	if len(paths) == 0 && w.file != nil {
		w.file(pattern)
	}
	for _, path := range paths {
		w.walk(path, base, home, depth+1)
	}
}

func readConfig(path string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", false // a pipe would hold us up
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile))
	return string(data), err == nil
}
