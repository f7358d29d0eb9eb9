package sshconfig

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/tunnel"
)

// forwards reads LocalForward, RemoteForward and DynamicForward as `ssh -G` prints them: a port, [host]:port, or a socket's path, twice
// but for DynamicForward, and [socks]:0 for a RemoteForward without a target.
func forwards(values settings, x *expander) []tunnel.ForwardSpec {
	var specs []tunnel.ForwardSpec
	add := func(kind tunnel.ForwardKind, option, listen, target string) {
		spec := tunnel.ForwardSpec{Kind: kind}
		var ok1, ok2 bool
		spec.Listen, ok1 = x.endpoint(listen, kind != tunnel.ForwardRemote)
		ok2 = kind == tunnel.ForwardSocks || target == "[socks]:0"
		if !ok2 {
			spec.Target, ok2 = x.endpoint(target, kind == tunnel.ForwardRemote)
		}
		if !ok1 || !ok2 {
			x.warn(option + " " + strconv.Quote(strings.TrimSpace(listen+" "+target)) + " is not understood, and left out")
			return
		}
		specs = append(specs, spec)
	}
	for _, text := range values["localforward"] {
		listen, target := cutForward(text)
		add(tunnel.ForwardLocal, "LocalForward", listen, target)
	}
	for _, text := range values["remoteforward"] {
		listen, target := cutForward(text)
		add(tunnel.ForwardRemote, "RemoteForward", listen, target)
	}
	for _, text := range values["dynamicforward"] {
		add(tunnel.ForwardSocks, "DynamicForward", text, "")
	}
	return specs
}

// dropFalseDynamic takes out what ssh prints without being asked: a dynamicforward for each LocalForward that leads to a unix socket
// (readconf.c, dump_cfg_forwards).
func dropFalseDynamic(values settings) {
	for _, text := range values["localforward"] {
		listen, target := cutForward(text)
		if i := slices.Index(values["dynamicforward"], listen); i >= 0 && strings.HasPrefix(target, "/") {
			values["dynamicforward"] = slices.Delete(values["dynamicforward"], i, i+1)
		}
	}
}

// cutForward parts the two halves of a line, though a path may hold blanks. Where two paths do, the first blank before a slash parts them.
func cutForward(text string) (listen, target string) {
	if at := strings.LastIndex(text, " ["); at >= 0 && strings.Contains(text[at:], "]:") {
		return text[:at], text[at+1:]
	}
	if before, after, ok := strings.Cut(text, " /"); ok {
		return before, "/" + after
	}
	listen, target, _ = strings.Cut(text, " ")
	return listen, target
}

// endpoint reads one half. here tells that it is on this machine, whose home ~ is.
func (x *expander) endpoint(text string, here bool) (tunnel.Endpoint, bool) {
	if here {
		text = x.tilde(text)
	}
	if filepath.IsAbs(text) {
		return tunnel.Endpoint{Path: filepath.Clean(text)}, true
	}
	var e tunnel.Endpoint
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, port, ok := cutLast(inner, "]:")
		if !ok {
			return e, false
		}
		if e.Host, text = x.forwardHost(host), port; e.Host == "" {
			e.Host = "*" // ssh(1): an empty address is all
		}
	}
	port, err := strconv.ParseUint(text, 10, 16)
	e.Port = int(port)
	return e, err == nil
}

// forwardHost fills in a host's tokens, as ssh_config(5) says of LocalForward and ssh does for paths only. An address with a zone has a % as well.
func (x *expander) forwardHost(host string) string {
	if strings.Contains(host, ":") {
		return host
	}
	return x.percent(host)
}

func cutLast(text, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}
