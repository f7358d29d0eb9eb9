package adapters

import (
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nodeName is what node's executable is called; some distributions put a version behind it.
var nodeName = regexp.MustCompile(`^(?:node|nodejs)(?:[-.]?\d[\d.]*)?$`)

// Recognise takes node itself, and programs that hold it as a library. Our own guard is a server.
func (node) Recognise(r Running) (Found, bool) {
	if !isNode(r) && !slices.Contains(r.Marks, "libnode") {
		return Found{}, false
	}
	if len(r.Argv) > 1 && path.Base(r.Argv[1]) == nodeGuardFile && strings.HasPrefix(path.Base(path.Dir(r.Argv[1])), "dbk-") {
		return Found{Server: true}, true
	}
	return Found{Listening: nodeListening(r)}, true
}

// isNode says whether the executable is node's, so that it can run a script of ours.
func isNode(r Running) bool {
	exe := r.Exe
	if exe == "" && len(r.Argv) > 0 { // another user's
		exe = r.Argv[0]
	}
	return nodeName.MatchString(path.Base(exe))
}

// nodeDefaultPort is where the inspector listens where nothing else is said.
const nodeDefaultPort = 9229

// nodeListening finds the inspector among the sockets of a process: on the port of its flags, else on the default one, as after
// SIGUSR1. With port 0 it is the only socket on loopback, or it cannot be told.
func nodeListening(r Running) string {
	enabled, port := nodeInspectFlags(r.Argv)
	var here []string
	for _, at := range r.Listening {
		host, p, err := net.SplitHostPort(at)
		ip := net.ParseIP(host)
		switch {
		case err != nil || ip == nil:
		case port != 0 && p == strconv.Itoa(port) && (enabled || ip.IsLoopback()):
			return at
		case ip.IsLoopback():
			here = append(here, at)
		}
	}
	if enabled && port == 0 && len(here) == 1 {
		return here[0]
	}
	return ""
}

// nodeInspectFlags reads node's flags for the inspector, which stand before the script (node, src/node_options.cc). enabled says that it was to
// listen from the start.
func nodeInspectFlags(argv []string) (enabled bool, port int) {
	port = nodeDefaultPort
	for i := 1; i < len(argv); i++ {
		word, value, has := strings.Cut(argv[i], "=")
		switch word {
		case "--inspect", "--inspect-brk", "--inspect-wait":
			enabled = true
		case "--inspect-port", "--debug-port":
			if !has && i+1 < len(argv) {
				i++
				value, has = argv[i], true
			}
		case "-r", "--require", "--import", "--loader", "-C", "--conditions":
			if !has {
				i++
			}
			continue
		default:
			if !strings.HasPrefix(word, "-") || word == "--" || word == "-" {
				return enabled, port
			}
			continue
		}
		if has {
			if p, err := strconv.Atoi(value[strings.LastIndex(value, ":")+1:]); err == nil && p >= 0 && p <= 65535 {
				port = p
			}
		}
	}
	return enabled, port
}
