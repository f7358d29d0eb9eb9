package integration_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/debugbroker/debugbroker/"

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath   string
	Deps         []string // all, direct and indirect
	Imports      []string // direct
	TestImports  []string
	XTestImports []string
}

// packages lists ours, by import path without the module's.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Deps,Imports,TestImports,XTestImports", module+"...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	found := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	if len(found) < 3 {
		t.Fatalf("go list found only %d packages of ours", len(found))
	}
	return found
}

// below tells whether a package is root or lies in a directory below it.
func below(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func belowAny(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return below(pkg, r) })
}

// rule says what the packages below from may not depend on, directly or through others. Packages of ours are named without the module's path.
// The word "ours" in deny is every package of ours, "libraries" all but ours and the standard library.
type rule struct {
	from   string   // "ours", or a package and those below it
	except []string // packages below from that the rule leaves out
	deny   []string
	allow  []string // what deny does not mean
	direct bool     // only what the package itself imports counts
	why    string
}

// breaks tells whether a dependency of the package name breaks the rule. Both are named without the module's path.
func (r rule) breaks(name, dep string, isOurs bool) bool {
	switch {
	case r.from != "ours" && !below(name, r.from), belowAny(name, r.except), isOurs && dep == name, belowAny(dep, r.allow):
		return false
	case isOurs && slices.Contains(r.deny, "ours"):
		return true
	case !isOurs && slices.Contains(r.deny, "libraries") && isLibrary(dep):
		return true
	}
	return belowAny(dep, r.deny)
}

// isLibrary tells other people's modules from the standard library, whose paths have no domain. What the standard library vendors counts
// as its own.
func isLibrary(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

var rules = []rule{
	{from: "broker/api", deny: []string{"ours", "libraries"},
		why: "brokerctl and editors link broker/api: it needs the standard library only, knows wire types and nothing of how sessions are carried out"},
	{from: "tunnel", deny: []string{"adapters", "store", "configs", "broker"},
		why: "tunnel reaches hosts and knows nothing of debuggers, records or settings; broker translates"},
	{from: "tunnel/relay", deny: []string{"ours", "libraries"}, allow: []string{"tunnel/relay"},
		why: "it is linked into the program that is carried to every host, and only moves bytes"},
	{from: "adapters", deny: []string{"tunnel", "store", "configs", "broker"},
		why: "an adapter decides what to run and never how to reach the host; broker carries its plan out"},
	{from: "adapters", deny: []string{"golang.org/x/crypto", "go.etcd.io/bbolt", "os/exec"},
		why: "Probe and Plan are pure: they run and store nothing"},
	{from: "adapters/dap", deny: []string{"net"}, direct: true, allow: []string{"net/http", "net/textproto", "net/url", "net/netip"},
		why: "a wire protocol works on bytes and readers; sockets are the proxy's"},
	{from: "adapters/jdwp", deny: []string{"net"}, direct: true, allow: []string{"net/http", "net/textproto", "net/url", "net/netip"},
		why: "a wire protocol works on bytes and readers; sockets are the proxy's"},
	{from: "store", deny: []string{"tunnel", "adapters", "configs", "broker"},
		why: "store keeps records and does not know what they mean"},
	{from: "configs", deny: []string{"tunnel", "adapters", "store", "broker"},
		why: "configs reads a file and does not know who will use it"},
	{from: "configs/service", deny: []string{"ours"}, allow: []string{"configs/service"},
		why: "brokerctl links configs/service, which must not bring the daemon along"},
	{from: "cmd/brokerctl", deny: []string{"ours"}, allow: []string{"cmd/brokerctl", "broker/api", "configs/service"},
		why: "the command only talks to the daemon; what it could do by itself would not be recorded, policed or cleaned up"},
	{from: "cmd/brokerctl/ide", deny: []string{"ours"}, allow: []string{"broker/api"},
		why: "it makes text of a session, and needs the wire types only"},
	{from: "cmd/brokerctl/ide", deny: []string{"os", "net", "net/http", "os/exec"}, direct: true, allow: []string{"net/netip"},
		why: "it is pure: files are bytes, and the verb reads and writes them"},
	{from: "cmd/brokerctl", deny: []string{"github.com/chromedp"},
		why: "a browser is for the tests"},
	{from: "cmd/brokerctl", deny: []string{"golang.org/x/crypto/ssh", "go.etcd.io/bbolt"},
		why: "brokerctl is started for every completion and must stay small; links and records are the daemon's"},
	{from: "cmd/broker-relay", deny: []string{"golang.org/x/crypto/ssh", "go.etcd.io/bbolt"},
		why: "the relay is carried to every host and needs neither SSH nor a database"},
	{from: "broker/far", deny: []string{"golang.org/x/crypto", "go.etcd.io/bbolt"},
		why: "the far half runs in the relay, which is carried to every host"},
	{from: "ours", except: []string{"integration"}, deny: []string{"integration"},
		why: "tests stand on the product, never the product on its tests"},
	{from: "ours", except: []string{"cmd"}, deny: []string{"cmd"},
		why: "a command is the end of the line: what others need of it belongs in a package"},
	{from: "cmd", deny: []string{"testing"},
		why: "test code in a shipped binary is a mistake in an import"},
}

func TestImportsRunOneWay(t *testing.T) {
	pkgs := packages(t)
	for _, r := range rules {
		for name, p := range pkgs {
			deps := p.Deps
			if r.direct {
				deps = p.Imports
			}
			for _, dep := range deps {
				short, isOurs := strings.CutPrefix(dep, module)
				if r.breaks(name, short, isOurs) {
					t.Errorf("%s depends on %s%s\n\tbut: %s", name, short, route(pkgs, name, dep), r.why)
				}
			}
		}
	}
}

// A rule that denies nothing would pass for ever, so each promise of the design is tried on a breach of it.
func TestBreachesAreSeen(t *testing.T) {
	tests := []struct {
		name, dep string
		ours      bool
		want      bool
	}{
		{"cmd/brokerctl", "broker/api", true, false},
		{"cmd/brokerctl", "configs/service", true, false},
		{"cmd/brokerctl", "configs", true, true},
		{"cmd/brokerctl", "broker", true, true},
		{"cmd/brokerctl", "golang.org/x/crypto/ssh/agent", false, true},
		{"cmd/brokerctl", "go.etcd.io/bbolt", false, true},
		{"cmd/brokerctl", "cmd/brokerctl/ide", true, false},
		{"cmd/brokerctl/ide", "broker/api", true, false},
		{"cmd/brokerctl/ide", "cmd/brokerctl", true, true},
		{"cmd/brokerctl/ide", "configs/service", true, true},
		{"cmd/brokerctl/ide", "os", false, true},
		{"cmd/brokerctl/ide", "net/netip", false, false},
		{"cmd/brokerd", "broker", true, false},
		{"cmd/brokerd", "go.etcd.io/bbolt", false, false},
		{"broker/api", "encoding/json", false, false},
		{"broker/api", "github.com/spf13/cobra", false, true},
		{"broker/api", "tunnel", true, true},
		{"broker", "tunnel", true, false},
		{"tunnel/sshconfig", "tunnel", true, false},
		{"tunnel", "adapters/dap", true, true},
		{"adapters", "tunnel", true, true},
		{"adapters/dap", "net", false, true},
		{"adapters/cdp", "net/http", false, false},
		{"adapters", "adapters/dap", true, false},
		{"store", "configs", true, true},
		{"configs", "broker/api", true, true},
		{"configs/service", "configs", true, true},
		{"broker", "integration/sshd", true, true},
		{"integration/demo", "integration/sshserver", true, false},
		{"broker", "cmd/brokerd", true, true},
		{"cmd/brokerd", "testing", false, true},
	}
	for _, tt := range tests {
		got := slices.ContainsFunc(rules, func(r rule) bool { return r.breaks(tt.name, tt.dep, tt.ours) })
		if got != tt.want {
			t.Errorf("%s on %s: denied is %v, want %v", tt.name, tt.dep, got, tt.want)
		}
	}
}

// A wire protocol may take a net.Conn, and must not make one: sockets are the proxy's and the broker's.
func TestWireProtocolsOpenNoSockets(t *testing.T) {
	opens := regexp.MustCompile(`\bnet\.(Dial|Listen|ListenPacket|Dialer|ListenConfig)`)
	found := 0
	for _, dir := range []string{"dap", "cdp", "dlvrpc"} {
		files, err := filepath.Glob(filepath.Join("../adapters", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			found++
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if m := opens.Find(source); m != nil {
				t.Errorf("%s uses %s", file, m)
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d files were read", found)
	}
}

// Tests of a package may need a fixture from integration, but not the heart of another room.
func TestImportsOfTestsRunOneWayToo(t *testing.T) {
	rooms := []string{"tunnel", "adapters", "store", "configs", "broker/api"}
	for name, p := range packages(t) {
		for _, dep := range slices.Concat(p.TestImports, p.XTestImports) {
			ours, isOurs := strings.CutPrefix(dep, module)
			if !isOurs {
				continue
			}
			for _, from := range rooms {
				for _, to := range rooms {
					if from != to && below(name, from) && below(ours, to) {
						t.Errorf("tests of %s import %s\n\tbut: what spans two rooms is tested in broker or integration", name, ours)
					}
				}
			}
		}
	}
}

// route names the import of name's through which dep came, if it is not direct.
func route(pkgs map[string]listed, name, dep string) string {
	if slices.Contains(pkgs[name].Imports, dep) {
		return ""
	}
	for _, i := range pkgs[name].Imports {
		ours, isOurs := strings.CutPrefix(i, module)
		if isOurs && slices.Contains(pkgs[ours].Deps, dep) {
			return " through " + ours
		}
	}
	return " through a library"
}
