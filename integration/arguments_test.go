package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// awkward is what shells, each in its own way, like to take apart.
var awkward = []string{
	"two words", "", "it's", `say "hi"`, "line\nbreak", "tab\there", "$HOME $(id) `id` ${x}", `back\slash\n`, "!history !!", "--flag=1", "-x",
	"Grüße, 世界 🐛", "*.py ?", "~root", "a;b|c&d>e<f#g", "%s %d", "[a]{b,c}", "trailing\n\n", "^old^new",
}

// dumped is what the args programs print.
type dumped struct {
	Argv []string          `json:"argv"`
	Cwd  string            `json:"cwd"`
	Env  map[string]string `json:"env"`
}

// TestArgumentsArriveIntact runs the args program of each language below each login shell, in a directory with an awkward name.
func TestArgumentsArriveIntact(t *testing.T) {
	t.Parallel()
	python, node, jdk := tools.Need(t, tools.Python), tools.Need(t, tools.Node), tools.Need(t, tools.Java)
	dlv := tools.NeedDlv(t)
	goArgs, classes := programs.BuildGo(t, "args"), programs.BuildJava(t, jdk)
	langs := []struct {
		lang, interpreter string
		program           []string
	}{
		{"python", python, []string{programs.Path(t, "python/args.py")}},
		{"go", dlv, []string{goArgs}},
		{"node", node, []string{programs.Path(t, "node/args.js")}},
		{"java", jdk.Java, []string{"-cp", classes, "Args"}},
	}
	for _, name := range []string{"sh", "bash", "fish", "csh"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sshd.Options{Shell: tools.NeedShell(t, name), Noise: "Welcome!\nyou have 'mail'"})
			cwd := filepath.Join(t.TempDir(), "it's a\ndirectory – ü")
			if err := os.Mkdir(cwd, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, l := range langs {
				t.Run(l.lang, func(t *testing.T) {
					args := []string{"open", "box:" + l.lang, "--no-wait", "--interpreter", l.interpreter, "--cwd", cwd}
					env := map[string]string{"BT_EMPTY": ""}
					if l.lang == "java" {
						env["LC_ALL"] = "C.UTF-8" // in the C locale a JVM reads its arguments as ASCII
					}
					for i, v := range awkward {
						env[fmt.Sprintf("BT_%d", i)] = v
					}
					for k, v := range env {
						args = append(args, "--env", k+"="+v)
					}
					args = append(append(append(args, "--"), l.program...), awkward...)
					// The program ends as soon as it has printed, so open says that it ended at once, or is just in time.
					w.Run(args...)
					got := awaitDump(t, w.Broker, l.lang)
					if !slices.Equal(got.Argv, awkward) {
						t.Errorf("argv: got %q\nwant %q", got.Argv, awkward)
					}
					if got.Cwd != cwd {
						t.Errorf("cwd: got %q, want %q", got.Cwd, cwd)
					}
					for k, v := range env {
						if got.Env[k] != v {
							t.Errorf("%s: got %q, want %q", k, got.Env[k], v)
						}
					}
					for k := range got.Env {
						// debugpy itself sets PYDEVD_USE_FRAME_EVAL in the process, however it is started.
						if strings.Contains(k, "DEBUGPY") || strings.HasPrefix(k, "BROKER_") || strings.Contains(k, "PYDEVD") && k != "PYDEVD_USE_FRAME_EVAL" {
							t.Errorf("the program sees our variable %s", k)
						}
					}
				})
			}
		})
	}
}

// awaitDump waits for the end of the newest session of a language and returns what its program printed.
func awaitDump(t *testing.T, b *brokertest.Broker, lang string) dumped {
	t.Helper()
	var id string
	for _, s := range brokertest.JSON[[]api.Session](b, "list", "--all") {
		if s.Lang == lang {
			id = s.ID
		}
	}
	if id == "" {
		t.Fatal("no session was made")
	}
	b.Await(id, "the program has ended", func(s api.Session) bool { return s.Phase.Ended() })
	for _, l := range brokertest.Lines[api.LogLine](b, "logs", id) {
		var d dumped
		if json.Unmarshal([]byte(l.Text), &d) == nil && d.Argv != nil {
			return d
		}
	}
	t.Fatalf("the program printed no JSON; session: %+v", b.Show(id))
	return dumped{}
}

// TestSecretsStayOffCommandLines looks at every process of the machine while a session opens.
func TestSecretsStayOffCommandLines(t *testing.T) {
	t.Parallel()
	python := tools.Need(t, tools.Python)
	w := newWorld(t, sshd.Options{})
	secret := "s3cret-" + filepath.Base(t.TempDir()) + "-" + strconv.Itoa(os.Getpid())
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	stop, seen := make(chan struct{}), make(chan []string)
	go func() {
		found := map[string]bool{}
		for {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, f := range lines {
				if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), secret) && !strings.Contains(string(b), "brokerctl") {
					found[strings.ReplaceAll(string(b), "\x00", " ")] = true
				}
			}
			select {
			case <-stop:
				var all []string
				for l := range found {
					all = append(all, l)
				}
				seen <- all
				return
			default:
			}
		}
	}()
	s := w.Open("box:python", "--interpreter", python, "--no-wait", "--env", "BT_SECRET="+secret, "--", programs.Path(t, "python/ticker.py"))
	close(stop)
	if found := <-seen; len(found) > 0 {
		t.Errorf("the value of a variable was seen in command lines: %q", found)
	}
	if r := w.OK("show", s.ID, "--json"); strings.Contains(r.Stdout, secret) {
		t.Error("show prints the value of a variable")
	}
	if strings.Contains(w.Log(), secret) {
		t.Error("the log has the value of a variable")
	}
	w.Close(s.ID)
}
