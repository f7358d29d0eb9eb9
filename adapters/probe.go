package adapters

import (
	_ "embed"
	"path"
	"strconv"
	"strings"
)

// probeHead is what every probe of a launch begins with: the way to answer, and the directory that relative paths are resolved
// against.
//
//go:embed probe_head.sh
var probeHead string

// beginProbe begins the probe of a launch. program is the file that is to run, where that is known before the host is asked: its
// directory is the last but one choice of a working directory. Behind it the shell stands in $here, the fact "cwd"; where nobody
// has chosen it there is the fact "cwd_default", and where --cwd is not there only "cwd_missing".
func beginProbe(req Request, program string) string {
	var s strings.Builder
	s.WriteString(factFunction + homeFunction)
	for _, v := range [][2]string{{"home", orRoot(req.Host.Home)}, {"cwd", req.Cwd}, {"local_cwd", req.LocalCwd}, {"program", program}} {
		s.WriteString(v[0] + "=" + quote(v[1]) + "\n")
	}
	s.WriteString(probeHead)
	return s.String()
}

// cwdMissing is the refusal of a --cwd that the host does not have, or nil.
func cwdMissing(f facts) error {
	dir := f.first("cwd_missing")
	if dir == "" {
		return nil
	}
	return &Error{NotFound, "no directory " + strconv.Quote(strings.TrimPrefix(dir, "./")) + " to run in", "--cwd is a directory on the remote"}
}

// programScript says "no_program" where no spelling of a program's file is there. The suffixes are those that the interpreter
// tries by itself.
func programScript(program string, suffixes ...string) string {
	if program == "" {
		return ""
	}
	spellings := []string{program}
	for _, s := range suffixes {
		spellings = append(spellings, program+s)
	}
	return "there=\nfor f in " + quoteAll(spellings...) + `; do [ ! -e "$f" ] || there=1; done
[ -n "$there" ] || fact no_program 1
`
}

// programMissing is the refusal of a program that is not there.
func programMissing(program string, f facts) error {
	if !path.IsAbs(program) {
		program = path.Join(f.first("cwd"), program)
	}
	return &Error{NotFound, "no program " + strconv.Quote(program), "a path on the remote is meant, from the working directory; see --cwd"}
}

// homeFunction is a shell function that prints a word with a leading ~ made $home, and a full stop, which keeps a newline at the end.
const homeFunction = `home_of() { case $1 in '~') printf '%s.' "$home" ;; '~/'*) printf '%s.' "$home/${1#'~/'}" ;; *) printf '%s.' "$1" ;; esac; }
`

// orRoot is a home directory, or / where there is none.
func orRoot(home string) string {
	if home == "" {
		return "/"
	}
	return home
}
