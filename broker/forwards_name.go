package broker

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/tunnel"
)

// freeName is the name that a forward gets: the one that was asked for or one of the host and the port, and with -2, -3, … behind it where
// others have that. m.mu is held.
func (m *forwards) freeName(w wanted, name string) string {
	if name == "" {
		name = forwardName(w)
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(m.all, func(f *forward) bool { return f.name == name })
	}
	free := name
	for i := 2; taken(free); i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

// forwardName makes a name of what a forward is: web1-5432, web1-socks, web1-docker.sock.
func forwardName(w wanted) string {
	what := "socks"
	for _, e := range []tunnel.Endpoint{w.spec.Listen, w.spec.Target} {
		if e.Path != "" {
			what = path.Base(e.Path)
			break
		}
		if e.Port != 0 {
			what = strconv.Itoa(e.Port)
			break
		}
	}
	host := w.host[strings.LastIndexByte(w.host, '@')+1:]
	name := strings.Trim(strings.Map(func(r rune) rune {
		if configs.ForwardName("x"+string(r)) != "" {
			return '-'
		}
		return r
	}, host+"-"+what), "-.")
	if len(name) > 48 {
		name = name[len(name)-48:]
	}
	if name = strings.TrimLeft(name, "-."); name == "" {
		return "forward"
	}
	return name
}
