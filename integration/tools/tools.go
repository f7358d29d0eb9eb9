package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// askTimeout bounds each question to a tool ("can you import debugpy?"). Generous: a cold python on a loaded machine takes seconds.
const askTimeout = 30 * time.Second

// MissingError says that a tool is not on this machine, and what to install.
type MissingError struct {
	Tool    string // "sshd"
	Install string // "apt-get install openssh-server"
}

func (e *MissingError) Error() string { return e.Tool + " is not on this machine: " + e.Install }

// Sshd finds the OpenSSH server, which most systems keep out of a user's PATH. The path is absolute: sshd demands that of its argv[0].
func Sshd() (string, error) {
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/opt/homebrew/sbin/sshd"} {
		if executable(p) {
			return p, nil
		}
	}
	return look("sshd", "install the OpenSSH server (Debian: apt-get install openssh-server)")
}

// SSH finds the OpenSSH client.
func SSH() (string, error) {
	return look("ssh", "install the OpenSSH client (Debian: apt-get install openssh-client)")
}

// Autossh finds autossh, which the benchmarks measure against.
func Autossh() (string, error) {
	return look("autossh", "install autossh (Debian: apt-get install autossh)")
}

// Python finds a python3 that can import debugpy. The first python3 in PATH often cannot (pyenv), so every one there is asked, then
// /usr/bin/python3.
func Python() (string, error) {
	candidates := append(allInPath("python3"), "/usr/bin/python3")
	for _, p := range candidates {
		if executable(p) && ask(p, "-c", "import debugpy") == nil {
			return p, nil
		}
	}
	return "", &MissingError{"a python3 with debugpy", "pip install debugpy, or on Debian apt-get install python3-debugpy"}
}

// Node finds Node.js.
func Node() (string, error) {
	return look("node", "install Node.js 18 or later (Debian: apt-get install nodejs)")
}

// JDK is where the tools of a Java development kit are.
type JDK struct {
	Java, Javac, Jdb string
}

// Java finds a JDK: the one of JAVA_HOME, or the one in PATH. A JRE alone is not enough: java must come with javac and jdb.
func Java() (JDK, error) {
	const install = "install a JDK, 17 or later (Debian: apt-get install openjdk-17-jdk-headless)"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		k := JDK{filepath.Join(home, "bin/java"), filepath.Join(home, "bin/javac"), filepath.Join(home, "bin/jdb")}
		if executable(k.Java) && executable(k.Javac) && executable(k.Jdb) {
			return k, nil
		}
	}
	var k JDK
	for _, w := range []struct {
		name string
		to   *string
	}{{"java", &k.Java}, {"javac", &k.Javac}, {"jdb", &k.Jdb}} {
		p, err := look(w.name, install)
		if err != nil {
			return JDK{}, err
		}
		*w.to = p
	}
	// macOS has stubs in /usr/bin which only offer to install Java.
	if ask(k.Java, "-version") != nil {
		return JDK{}, &MissingError{"a JDK", install}
	}
	return k, nil
}

// vscodeVersion is the code-server that integration/setup.sh installs.
const vscodeVersion = "4.100.3"

// VSCode finds the server of VS Code, a program for node, where integration/setup.sh puts it: outside of the repository.
func VSCode() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME") // as setup.sh has it, also on macOS
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	path := filepath.Join(cache, "debugbroker-tests", "code-server-"+vscodeVersion, "node_modules/code-server/lib/vscode/out/server-main.js")
	if _, err := os.Stat(path); err != nil {
		return "", &MissingError{"VS Code", "integration/setup.sh installs it (npm install code-server@" + vscodeVersion + "), to " + path}
	}
	return path, nil
}

// Chromium finds the browser in which VS Code's window runs.
func Chromium() (string, error) {
	if p, err := look("chromium", ""); err == nil {
		return p, nil
	}
	return look("google-chrome", "install Chromium (Debian: apt-get install chromium)")
}

// Nvim finds Neovim, which reads the Lua of nvim-dap.
func Nvim() (string, error) { return look("nvim", "install Neovim (Debian: apt-get install neovim)") }

// Emacs finds Emacs.
func Emacs() (string, error) {
	return look("emacs", "install Emacs (Debian: apt-get install emacs-nox)")
}

// Dlv builds the Delve that go.mod pins into the Go build cache and returns its path.
func Dlv(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "dlv")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build dlv: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	path := strings.TrimSpace(string(out))
	if !executable(path) {
		return "", fmt.Errorf("build dlv: %s is not an executable file", path)
	}
	return path, nil
}

// Sudo finds sudo.
func Sudo() (string, error) {
	return look("sudo", "install sudo (Debian: apt-get install sudo)")
}

// Shell finds a shell by name (fish, csh, zsh, …).
func Shell(name string) (string, error) {
	return look(name, "install "+name+" (Debian: apt-get install "+name+")")
}

func look(name, install string) (string, error) {
	p, err := exec.LookPath(name)
	if err != nil {
		return "", &MissingError{name, install}
	}
	return filepath.Abs(p)
}

func allInPath(name string) []string {
	var found []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if p := filepath.Join(dir, name); filepath.IsAbs(p) {
			found = append(found, p)
		}
	}
	return found
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

func ask(argv ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return exec.CommandContext(ctx, argv[0], argv[1:]...).Run()
}
