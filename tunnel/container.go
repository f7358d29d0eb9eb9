package tunnel

import (
	"regexp"
	"strings"
)

// otherNamespaces is the Container of what is in none that we know.
const otherNamespaces = "other namespaces"

// place is where a control group puts a process.
type place struct{ container, unit string }

// A container's control group: "docker-<id>.scope", "cri-containerd-<id>.scope", "libpod-<id>.scope" (systemd's driver), or a bare
// id below "docker" or "kubepods" (cgroupfs's). What watches a container from outside ("libpod-conmon-<id>.scope") is not in it.
var (
	scopePattern = regexp.MustCompile(`^(docker|cri-containerd|nerdctl|crio|libpod)-([0-9a-f]{12})[0-9a-f]{0,116}(?:\.scope)?$`)
	barePattern  = regexp.MustCompile(`^([0-9a-f]{12})[0-9a-f]{52}$`)
	lxcPattern   = regexp.MustCompile(`^lxc\.payload[./](.+)$`)
)

// placeOf reads /proc/PID/cgroup: "NUMBER:CONTROLLERS:PATH" lines, one where there is only cgroup2 (cgroups(7)).
func placeOf(text string) (at place) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		p := placeOfPath(f[2])
		if at.container == "" {
			at.container = p.container
		}
		// systemd's own hierarchy tells the unit: the only one, or that of its name.
		if at.unit == "" && (f[1] == "" || f[1] == "name=systemd") {
			at.unit = p.unit
		}
	}
	return at
}

// groupOf is the path in systemd's own hierarchy.
func groupOf(text string) string {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 && (f[1] == "" || f[1] == "name=systemd") && f[2] != "/" {
			return cleanText(f[2], 4096)
		}
	}
	return ""
}

func placeOfPath(path string) (at place) {
	kind := "containerd" // of a bare id: ctr and nerdctl have them below a namespace's name
	pods := false
	words := strings.Split(strings.Trim(path, "/"), "/")
	for i, word := range words {
		if m := scopePattern.FindStringSubmatch(word); m != nil {
			at.container = map[string]string{"docker": "docker", "crio": "cri-o", "libpod": "podman"}[m[1]]
			if at.container == "" {
				at.container = "containerd"
			}
			at.container += " " + m[2]
			if strings.HasSuffix(word, ".scope") {
				at.unit = word
			}
			return at // what is below are the container's own
		}
		if m := barePattern.FindStringSubmatch(word); m != nil && i > 0 {
			if pods {
				kind = "kubernetes"
			}
			at.container = kind + " " + m[1]
			return at
		}
		if m := lxcPattern.FindStringSubmatch(word); m != nil {
			at.container = "lxc " + cleanText(m[1], 64)
			return at
		}
		switch {
		case word == "docker":
			kind = "docker"
		case word == "lxc" && i+1 < len(words):
			at.container = "lxc " + cleanText(words[i+1], 64)
			return at
		case strings.HasPrefix(word, "kubepods"):
			pods = true
		case strings.HasSuffix(word, ".service"), strings.HasSuffix(word, ".scope"):
			// Of several the last: the user's manager is a service itself. systemd puts a "_" before what the kernel could mistake.
			at.unit = cleanText(strings.TrimPrefix(word, "_"), 255)
		}
	}
	return at
}

// namespaces are those of a process, "pid:[4026531836]" each, "" where they cannot be read; depth is how many process namespaces are
// nested.
type namespaces struct {
	pids, mounts, net string
	depth             int
}

func (raw *rawProcess) namespaces() namespaces {
	n := namespaces{pids: raw.links[linkPIDs], mounts: raw.links[linkMounts], net: raw.links[linkNet]}
	for line := range strings.Lines(raw.files[fileStatus]) {
		if value, ok := strings.CutPrefix(line, "NSpid:"); ok {
			n.depth = len(strings.Fields(value))
		}
	}
	return n
}

// apart tells whether raw is in other namespaces than us, as far as can be seen. A mount namespace of its own with our root directory is
// no container: systemd's PrivateTmp makes one.
func (raw *rawProcess) apart(us *rawProcess) bool {
	ns, ours := raw.namespaces(), us.namespaces()
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return ns.depth > ours.depth || differ(ns.pids, ours.pids) || differ(ns.net, ours.net) ||
		differ(ns.mounts, ours.mounts) && (raw.root == "" || raw.root != us.root)
}
