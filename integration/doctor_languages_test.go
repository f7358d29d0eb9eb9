package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// TestDoctorLanguages: what each language needs is found, over SSH and on this machine.
func TestDoctorLanguages(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	tools.Need(t, tools.Node)
	tools.Need(t, tools.Java)
	path := strings.Join([]string{filepath.Dir(python), filepath.Dir(tools.NeedDlv(t)), os.Getenv("PATH")}, ":")
	server := sshd.New(t, sshd.Options{Env: map[string]string{"PATH": path}})
	s := station{brokertest.New(t, brokertest.Options{Server: server, Env: []string{"PATH=" + path}}), server}
	for _, host := range []string{"box", ""} {
		for lang, has := range map[string][]string{
			"python": {"python", "debugpy"}, "go": {"delve", "go", "delve and go"}, "node": {"node"}, "java": {"java", "debug agent", "jcmd"},
		} {
			t.Run(host+":"+lang, func(t *testing.T) {
				t.Parallel()
				e := s.in(t).examine(t, host+":"+lang)
				for _, name := range append(has, "system", "workspace") {
					e.has(name, true)
				}
				if lang == "go" {
					e.has("delve", true, "1.27")
					e.has("attach", true, "Delve may trace")
				}
			})
		}
	}
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		bare := bareHost(t)
		bare.examine(t, "box:go").has("delve", false, "go install")
	})
	s.clean(t)
}

// bareHost is a host without debug servers.
func bareHost(t *testing.T) station {
	bin := t.TempDir()
	for _, name := range []string{
		"sh", "cat", "id", "uname", "awk", "sed", "grep", "tr", "date", "df", "mkdir", "rm", "chmod", "find", "sleep", "head", "sort", "tail", "readlink", "ls", "getent", "env", "ps",
	} {
		if file, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(file, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return newStation(t, sshd.Options{Env: map[string]string{"PATH": bin, "GOPATH": "", "GOBIN": ""}}, "")
}
