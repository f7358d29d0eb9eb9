package integration_test

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// reading is what a front end makes of its configuration: where it connects to, and the arguments of its attach request.
type reading struct {
	addr string
	args map[string]any
}

// readers read each editor's configuration of a session as the editor does.
func readers() map[string]func(elsewhere, api.Session) reading {
	return map[string]func(elsewhere, api.Session) reading{
		"vscode":    func(e elsewhere, s api.Session) reading { return e.readVSCode(s) },
		"zed":       func(e elsewhere, s api.Session) reading { return e.readZed(s) },
		"nvim":      func(e elsewhere, s api.Session) reading { return e.readNvim(s) },
		"emacs":     func(e elsewhere, s api.Session) reading { return e.readEmacs(s) },
		"jetbrains": func(e elsewhere, s api.Session) reading { return e.readJetBrains(s) },
	}
}

// readVSCode: debugpy's extension and vscode-go connect to the address that the entry names, and send the whole entry.
func (e elsewhere) readVSCode(s api.Session) reading {
	e.t.Helper()
	entry := e.inFile(e.config(s, "vscode", "--write"), "configurations")
	if want := map[string]string{"python": "debugpy", "go": "go", "node": "node", "java": "java"}[s.Lang]; entry["type"] != want || entry["request"] != "attach" {
		e.t.Errorf("VS Code's entry: %v", entry)
	}
	if s.Lang == "go" && entry["debugAdapter"] != "dlv-dap" {
		e.t.Errorf("vscode-go would take its old adapter: %v", entry)
	}
	return reading{e.address(entry), entry}
}

// address is where an entry's connect, host or address and port lead.
func (e elsewhere) address(entry map[string]any) string {
	e.t.Helper()
	for _, key := range []string{"connect", "tcp_connection"} {
		if below, ok := entry[key].(map[string]any); ok {
			entry = below
		}
	}
	port, _ := entry["port"].(float64)
	for _, key := range []string{"host", "hostName", "address"} {
		if host, ok := entry[key].(string); ok {
			return net.JoinHostPort(host, strconv.Itoa(int(port)))
		}
	}
	e.t.Fatalf("no address in %v", entry)
	return ""
}

// readZed: of an entry all but Zed's own members is sent.
func (e elsewhere) readZed(s api.Session) reading {
	e.t.Helper()
	entry := e.inFile(e.config(s, "zed", "--write"), "")
	if want := map[string]string{"python": "Debugpy", "go": "Delve", "node": "JavaScript", "java": "Java"}[s.Lang]; entry["adapter"] != want {
		e.t.Errorf("Zed's entry: %v", entry)
	}
	r := reading{e.address(entry), maps.Clone(entry)}
	for _, own := range []string{"label", "adapter", "tcp_connection"} {
		delete(r.args, own)
	}
	return r
}

// readNvim runs the Lua in a Neovim with a stand-in for nvim-dap's tables.
func (e elsewhere) readNvim(s api.Session) reading {
	e.t.Helper()
	nvim := tools.Need(e.t, tools.Nvim)
	dir := e.t.TempDir()
	code := "package.loaded.dap = { adapters = { java = { type = 'server' } }, configurations = { " + s.Lang + " = { { name = 'mine' } } } }\n" +
		"dofile('config.lua')\ndofile('config.lua')\nlocal dap = package.loaded.dap\n" +
		"io.stdout:write(vim.json.encode({ a = dap.adapters, c = dap.configurations }))\n"
	out := e.run(dir, map[string]string{"config.lua": e.config(s, "nvim").Text, "run.lua": code}, nvim, "--headless", "--clean", "-c", "luafile run.lua", "-c", "qa!")
	var tables struct {
		A map[string]map[string]any
		C map[string][]map[string]any
	}
	if err := json.Unmarshal([]byte(out), &tables); err != nil {
		e.t.Fatalf("%v: %s", err, out)
	}
	filetype, before := s.Lang, 1
	if s.Lang == "node" {
		filetype, before = "typescript", 0
	}
	list := tables.C[filetype]
	if len(list) != before+1 {
		e.t.Fatalf("run twice, it makes %v", list)
	}
	entry := list[before]
	adapter := tables.A[entry["type"].(string)]
	if adapter["type"] != "server" {
		e.t.Errorf("adapter %v of %v", adapter, entry)
	}
	if s.Lang == "python" || s.Lang == "go" {
		return reading{e.address(adapter), entry}
	}
	return reading{e.address(entry), entry}
}

// readEmacs evaluates the Lisp in an Emacs with a stand-in for dape's list, and takes its keywords as dape does.
func (e elsewhere) readEmacs(s api.Session) reading {
	e.t.Helper()
	emacs := tools.Need(e.t, tools.Emacs)
	dir := e.t.TempDir()
	code := `(provide 'dape)
(defvar dape-configs '((js-debug-node-attach command "node" port :autoport :type "pwa-node" :request "attach" :port 9229)))
(defvar line nil)
(fset 'jdb (lambda (l) (setq line l)))
(load (expand-file-name "config.el") nil t)
(let ((c (cdr (car dape-configs))) (all (cdr (car dape-configs))) keys)
  (while c
    (when (and (keywordp (car c)) (not (plist-member keys (car c)))) (setq keys (append keys (list (car c) (cadr c)))))
    (setq c (cddr c)))
  (princ (json-serialize (list :host (plist-get all 'host) :port (let ((p (plist-get all 'port))) (if (numberp p) p 0))
                               :args keys :line line :words (vconcat (and line (split-string-and-unquote line)))) :false-object nil)))
`
	out := e.run(dir, map[string]string{"config.el": e.config(s, "emacs").Text, "run.el": code}, emacs, "--batch", "-Q", "-l", "run.el")
	var got struct {
		Host  any
		Port  float64
		Args  map[string]any
		Words []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		e.t.Fatalf("%v: %s", err, out)
	}
	switch s.Lang {
	case "java":
		if len(got.Words) != 5 || got.Words[0] != "jdb" || got.Words[1] != "-attach" || got.Words[3] != "-sourcepath" || got.Words[4] != e.local {
			e.t.Fatalf("Emacs runs %q", got.Words)
		}
		return reading{got.Words[2], nil}
	case "node":
		return reading{e.address(got.Args), got.Args}
	}
	host, _ := got.Host.(string)
	return reading{net.JoinHostPort(host, strconv.Itoa(int(got.Port))), got.Args}
}

// readJetBrains reads the run configuration's XML. What PyCharm sends is debugpy's own mapping.
func (e elsewhere) readJetBrains(s api.Session) reading {
	e.t.Helper()
	c := e.config(s, "jetbrains", "--write")
	text, err := os.ReadFile(filepath.Join(e.local, c.File))
	if err != nil {
		e.t.Fatal(err)
	}
	var file struct {
		XMLName       xml.Name `xml:"component"`
		Configuration struct {
			Name    string `xml:"name,attr"`
			Type    string `xml:"type,attr"`
			Host    string `xml:"host,attr"`
			Port    string `xml:"port,attr"`
			Options []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"option"`
		} `xml:"configuration"`
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		e.t.Fatalf("%v\n%s", err, text)
	}
	conf := file.Configuration
	options := map[string]string{}
	for _, o := range conf.Options {
		options[o.Name] = o.Value
	}
	kind := map[string]string{"python": "PythonDapAttachConfiguration", "go": "GoRemoteDebugConfigurationType", "node": "ChromiumRemoteDebugType", "java": "Remote"}[s.Lang]
	if conf.Name != c.Name || conf.Type != kind {
		e.t.Errorf("run configuration: %s", text)
	}
	switch s.Lang {
	case "python":
		mapping := []any{map[string]any{"localRoot": options["localRoot"], "remoteRoot": options["remoteRoot"]}}
		return reading{options["remoteAddress"], map[string]any{"pathMappings": mapping}}
	case "java":
		return reading{net.JoinHostPort(options["HOST"], options["PORT"]), nil}
	default:
		return reading{net.JoinHostPort(conf.Host, conf.Port), nil}
	}
}

// run writes files into dir, runs a program there, and returns what it prints.
func (e elsewhere) run(dir string, files map[string]string, argv ...string) string {
	e.t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			e.t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(e.t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("%q: %v\n%s%s", argv, err, out, &stderr)
	}
	if len(out) == 0 {
		return stderr.String()
	}
	return string(out)
}

func (e elsewhere) sameAddress(who, addr string, s api.Session) {
	e.t.Helper()
	if addr != s.Local {
		e.t.Errorf("%s connects to %s, the session is at %s", who, addr, s.Local)
	}
}
