package tunnel

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

func TestNoProcesses(t *testing.T) {
	h := NewLocal(LocalOptions{Environ: []string{"PATH=/usr/bin:/bin", "dbk_proc=/nowhere"}})
	defer h.Release()
	list, err := h.Processes(t.Context())
	var hint *HintedError
	if !errors.Is(err, ErrNoProcesses) || !errors.As(err, &hint) || !strings.Contains(err.Error(), "(Linux)") {
		t.Errorf("%v, %v", list, err)
	}
}

// TestProcessesWithBusybox has nothing but busybox at the far side.
func TestProcessesWithBusybox(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox here")
	}
	dir := t.TempDir()
	if out, err := exec.Command(busybox, "--install", "-s", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := throughHost(t, "PATH="+dir+" exec "+dir+"/sh -s # %s")
	for what, test := range map[string]func(*testing.T, Host){
		"processes": suiteProcesses, "traced": suiteProcessTraced, "others": suiteProcessesOfOthers, "vanish": suiteProcessesVanish,
	} {
		t.Run(what, func(t *testing.T) { test(t, h) })
	}
}

func TestPlaceOf(t *testing.T) {
	id := strings.Repeat("0123456789ab", 6)[:64]
	for text, want := range map[string]place{
		"":                                  {},
		"0::/\n":                            {},
		"0::/system.slice/nginx.service\n":  {unit: "nginx.service"},
		"0::/system.slice/_x.service/sub\n": {unit: "x.service"},
		"0::/system.slice/docker-x.service": {unit: "docker-x.service"},
		"0::/system.slice/docker.service":   {unit: "docker.service"},
		"0::/user.slice/session-3.scope":    {unit: "session-3.scope"},
		"0::/user.slice/user-1.slice/user@1.service/app.slice/a.service":           {unit: "a.service"},
		"9:name=systemd:/system.slice/a.service\n4:cpu,cpuacct:/b.service\n":       {unit: "a.service"},
		"9:memory:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n":         {container: "docker 0123456789ab"},
		"0::/system.slice/docker-" + id + ".scope\n":                               {"docker 0123456789ab", "docker-" + id + ".scope"},
		"0::/system.slice/docker-" + id + ".scope/system.slice/a.service\n":        {"docker 0123456789ab", "docker-" + id + ".scope"},
		"0::/machine.slice/libpod-" + id + ".scope/container\n":                    {"podman 0123456789ab", "libpod-" + id + ".scope"},
		"0::/machine.slice/libpod-conmon-" + id + ".scope\n":                       {unit: "libpod-conmon-" + id + ".scope"},
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n": {"containerd 0123456789ab", "cri-containerd-" + id + ".scope"},
		"0::/kubepods.slice/kubepods-pod1.slice/crio-" + id + ".scope\n":           {"cri-o 0123456789ab", "crio-" + id + ".scope"},
		"0::/kubepods/besteffort/pod1/" + id + "\n":                                {container: "kubernetes 0123456789ab"},
		"0::/default/" + id + "\n":                                                 {container: "containerd 0123456789ab"},
		"0::/lxc.payload.web/system.slice/a.service\n":                             {container: "lxc web"},
		"7:cpu:/lxc/we\x1bb/x\n":                                                   {container: "lxc we b"},
		"0::/lxc.monitor.web\n":                                                    {},
		"nonsense\n0:x\n":                                                          {},
	} {
		if got := placeOf(text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

const (
	testBetween = marker("0123456789abcdef0123456789abcdef")
	testSecret  = marker("fedcba9876543210fedcba9876543210")
)

// processText is what scripts/processes.sh prints of two processes, the second of which is hostile.
func processText(name, cmdline, cgroup, exe string) string {
	blob := "_=/usr/bin/head\x00dbk_mark=" + string(testSecret) + "\x00"
	var files, links strings.Builder
	writeProcess(&files, blob, 71, "good", "good\x00-x\x00", "0::/\n")
	writeProcess(&files, blob, 72, name, cmdline, cgroup)
	for _, exe := range []string{"/bin/good", exe} {
		fmt.Fprintf(&links, "9\x00%s\x009\x00/\x009\x00pid:[1]\x009\x00mnt:[1]\x009\x00net:[1]\x00", exe)
	}
	return strings.Join([]string{
		"b-1 70 71 72\n", blob, files.String(), links.String(), "u:x:1000:1000::/:/bin/sh\n", "8/status:Tgid:\t7\n", "1:2 3 71/exe\n1:3 3 72/exe\n", "71/exe\n",
		"71/maps:/libpython3.so\n", "",
	}, string(testBetween))
}

func writeProcess(b *strings.Builder, blob string, pid int, name, cmdline, cgroup string) {
	fmt.Fprintf(b, "%s%d (%s) S 1 1 1 0 -1 4194304 1 1 1 1 1 1 1 1 20 0 1 0 %d000 1 1 1 1\n", blob, pid, name, pid)
	escaped := strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(name)
	fmt.Fprintf(b, "%sName:\t%s\nState:\tS (sleeping)\nPPid:\t1\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t%d\nThreads:\t1\nSigCgt:\t0000000000000200\n", blob, escaped, pid)
	fmt.Fprintf(b, "%s%s%s%s", blob, cmdline, blob, cgroup)
}

func FuzzParseProcesses(f *testing.F) {
	f.Add("x", "sh\x00-c\x00", "0::/\n", "/bin/sh")
	f.Add("a) S 1\n(", "9\x009\x00dbk_mark=\n71 (x) S", "0::/docker/x", "71/exe -> /x")
	f.Add(")", "_=/usr/bin/head\x00dbk_mark=\x00", "1:name=systemd:/a.service", "/9\n9")
	f.Fuzz(func(t *testing.T, name, cmdline, cgroup, exe string) {
		for _, hostile := range []string{name, cmdline, cgroup, exe} {
			if strings.Contains(hostile, string(testBetween)) || strings.Contains(hostile, string(testSecret)) {
				return // they are random
			}
		}
		// What the kernel holds back: a name is of 15 bytes, a link is a path.
		if len(name) > 15 || strings.ContainsAny(name, "\x00") || strings.Contains(exe, "\x00") {
			return
		}
		list, err := parseProcesses(processText(name, cmdline, cgroup, "/"+exe), testBetween, testSecret)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		good, odd := list[0], list[1]
		if good.ID != (ProcessID{"b-1", 71, "71000"}) || good.Exe != "/bin/good" || len(good.Argv) != 2 || good.User != "u" || len(good.Marks) != 2 || good.Caught != 0x200 {
			t.Errorf("%+v", good)
		}
		if odd.ID != (ProcessID{"b-1", 72, "72000"}) || odd.State != "S" || odd.UID != 1000 || odd.Exe != withoutDeleted("/"+exe) || len(odd.Marks) != 0 {
			t.Errorf("%+v", odd)
		}
		if got, want := strings.Join(odd.Argv, "\x00"), strings.TrimRight(cmdline, "\x00"); got != want {
			t.Errorf("argv %q of %q", got, want)
		}
	})
}

// FuzzParseProcessesAnything feeds what a hostile far side may say.
func FuzzParseProcessesAnything(f *testing.F) {
	f.Add(processText("x", "y", "0::/\n", "/z"))
	f.Add(strings.Repeat(string(testBetween), 9))
	f.Add(strings.Replace(processText("x", "y", "", "/z"), "71/exe", "99/exe", 1))
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseProcesses(text, testBetween, testSecret)
		if err != nil {
			return
		}
		for _, p := range list {
			if p.ID.PID <= 0 || !idPattern.MatchString(p.ID.Boot) || !idPattern.MatchString(p.ID.Start) || len(p.State) != 1 {
				t.Errorf("%+v", p)
			}
		}
	})
}
