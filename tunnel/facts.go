package tunnel

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// loginShellBound is how long a login shell has to say its PATH. A broken profile hangs; then the present PATH serves.
const loginShellBound = 3 * time.Second

// Facts is as in Host. Callers that come together ask once.
//
// TempDir is /tmp or /var/tmp and not XDG_RUNTIME_DIR, which goes away when the user's last login session ends.
func (h *shellHost) Facts(ctx context.Context) (Facts, error) {
	var known *Facts
	select {
	case known = <-h.facts:
	case <-ctx.Done():
		return Facts{}, fmt.Errorf("ask facts: %w", ctx.Err())
	}
	defer func() { h.facts <- known }()
	if known != nil {
		return *known, nil
	}
	facts, err := h.askFacts(ctx)
	if err != nil {
		return Facts{}, fmt.Errorf("ask facts: %w", err)
	}
	known = &facts
	return facts, nil
}

func (h *shellHost) askFacts(ctx context.Context) (Facts, error) {
	var s script
	res, err := h.runScript(ctx, s.include("identity", "facts"), maxStdout)
	if err != nil {
		return Facts{}, err
	}
	facts, err := parseFacts(string(res.Stdout))
	if err != nil {
		return Facts{}, err
	}
	if p := h.loginPath(ctx, facts.Shell); p != "" {
		facts.Path = p
	}
	return facts, ctx.Err()
}

func parseFacts(text string) (Facts, error) {
	f := Facts{UID: -1}
	for line := range strings.Lines(text) {
		word, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch word {
		case "os":
			f.OS = strings.ToLower(value)
		case "arch":
			f.Arch = goArch(value)
		case "boot":
			f.BootID = value
		case "uid":
			uid, err := strconv.Atoi(value)
			if err != nil {
				return Facts{}, fmt.Errorf("read uid: %w", err)
			}
			f.UID = uid
		case "user":
			f.User = value
		case "home":
			f.Home = value
		case "shell":
			f.Shell = value
		case "path":
			f.Path = value
		case "temp":
			f.TempDir = value
		case "proc":
			f.HasProc = true
		case "others":
			n, err := strconv.Atoi(value)
			if err != nil {
				return Facts{}, fmt.Errorf("count accounts: %w", err)
			}
			f.OtherUsers = n
		}
	}
	switch {
	case f.OS == "" || f.UID < 0 || !idPattern.MatchString(f.BootID):
		return Facts{}, fmt.Errorf("incomplete answer %q", cleanText(text, maxErrorText))
	case f.TempDir == "":
		return Facts{}, fmt.Errorf("no temporary directory: /tmp and /var/tmp are not writable, or others may replace files there")
	}
	return f, nil
}

// goArch names what uname -m says as Go does.
func goArch(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "i386", "i486", "i586", "i686":
		return "386"
	case "armv6l", "armv7l", "armv8l":
		return "arm"
	}
	return machine
}

// loginPath asks the login shell for its PATH; "" where it does not answer in time.
func (h *shellHost) loginPath(ctx context.Context, shell string) string {
	ctx, cancel := context.WithTimeout(ctx, loginShellBound)
	defer cancel()
	mark := newMarker()
	var s script
	s.set("dbk_shell", shell).set("dbk_m1", string(mark[:16])).set("dbk_m2", string(mark[16:])).include("loginpath")
	res, err := h.runScript(ctx, &s, maxStdout)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(res.Stdout), string(mark))
	p, _, ok := strings.Cut(rest, string(mark[16:]))
	if !ok || strings.ContainsAny(p, "\n\x00") {
		return ""
	}
	return p
}
