package adapters

import (
	_ "embed"
	"fmt"
	"strings"
)

// delveVersions reads versions without running dlv, which makes its configuration directory at every start, and without a go that may
// fetch another toolchain.
//
//go:embed delve_doctor.sh
var delveVersions string

// Examine asks for Delve and Go with their versions, and whether Delve may trace.
func (delve) Examine(req Request) []Command {
	script := factFunction + homeFunction + "home=" + quote(orRoot(req.Host.Home)) + "\n" + findTool(req) + "found=\n" +
		"find_tool dlv " + toolCandidates(req, "dlv", "$GOBIN/dlv", "~/go/bin/dlv", "$GOPATH/bin/dlv") + "\ndlv=$found\nfound=\n" +
		findGo + delveVersions + "tool=$dlv\n" + tracing
	return []Command{{Key: delveProbe, Script: script}}
}

// Findings: a missing go is no fault, since only builds on the host need it.
func (delve) Findings(req Request) []Finding {
	f := parseFacts(req.Facts[delveProbe])
	dlv, goTool := f.first("dlv"), f.first("go")
	version, goVersion := f.first("dlv_version"), strings.TrimPrefix(f.first("go_version"), "go")
	var list []Finding
	if dlv == "" {
		list = append(list, failing("delve", delveTools+" on the host; another place is named with --interpreter, or go.dlv in the configuration",
			"no dlv on the login shell's PATH, in ~/go/bin, $GOBIN or $GOPATH/bin"))
	} else {
		list = append(list, delveFinding(dlv, version, f.first("dlv_go")))
	}
	switch {
	case goTool == "":
		list = append(list, Finding{Check: "go", OK: true, Detail: "not there", Hint: "executables can be debugged without it; to build on the host (open HOST:go -- DIR) install it"})
	case goVersion == "":
		list = append(list, holds("go", "%s, whose version cannot be told", goTool))
	default:
		list = append(list, holds("go", "%s, %s", goTool, goVersion))
	}
	if dlv != "" && goVersion != "" && version != "" {
		list = append(list, delveFits(version, goVersion)...)
	}
	if dlv != "" {
		list = append(list, tracingFindings(f, "Delve")...)
	}
	return list
}

func delveFinding(dlv, version, builtBy string) Finding {
	switch {
	case version == "":
		return Finding{Check: "delve", OK: true, Detail: dlv + ", whose version cannot be told", Hint: "a Delve of `go install` tells it: " + delveTools}
	case older(version, "1.22.1"):
		return Finding{Check: "delve", OK: true, Detail: dlv + ", " + version, Hint: "from 1.22.1 on it listens on a private socket, where other accounts cannot reach it: " + delveTools}
	case builtBy != "":
		return holds("delve", "%s, %s, built by %s", dlv, version, builtBy)
	}
	return holds("delve", "%s, %s", dlv, version)
}

// delveOldest is the oldest Go 1.N that a Delve 1.N' debugs; pkg/goversion/compat.go of each.
var delveOldest = map[int]int{9: 17, 20: 18, 21: 19, 22: 19, 23: 21, 24: 21, 25: 22, 26: 24, 27: 25}

// delveFits holds Delve's version against Go's. Since 1.20 Delve's second number is that of the newest Go that it knows; up to 1.9 it was
// ten less (pkg/goversion/compat.go).
func delveFits(version, goVersion string) []Finding {
	const check = "delve and go"
	d, okD := versionOf(version)
	g, okG := versionOf(goVersion)
	if !okD || !okG || d[0] != 1 || g[0] != 1 {
		return nil
	}
	newest := d[1]
	if newest < 10 {
		newest += 10
	}
	switch oldest := delveOldest[d[1]]; {
	case g[1] > newest:
		return []Finding{failing(check, fmt.Sprintf("a newer Delve: %s, with this go", delveTools),
			"Delve %s knows Go up to 1.%d, and go there is %s", version, newest, goVersion)}
	case g[1] < oldest:
		return []Finding{failing(check, fmt.Sprintf("a newer Go, or an older Delve: %s", strings.Replace(delveTools, "@latest", fmt.Sprintf("@v1.%d", max(g[1], 20)), 1)),
			"Delve %s knows Go from 1.%d on, and go there is %s", version, oldest, goVersion)}
	}
	return []Finding{holds(check, "Delve %s fits Go %s", version, goVersion)}
}
