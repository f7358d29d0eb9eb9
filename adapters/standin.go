package adapters

import (
	_ "embed"
	"path"
	"regexp"
	"strconv"
	"time"
)

//go:embed standin.sh
var standIn []byte

const standInFile = "standin.sh"

// standIn makes a plan's process one that stands for the program and does nothing else: the debug servers are started per front end.
func (p *Plan) standIn(req Request) {
	nonce := req.nonce()
	p.Argv = []string{"/bin/sh", path.Join(req.Workspace, standInFile), strconv.Itoa(req.Target.PID), req.Target.Start, nonce}
	p.Files = append(p.Files, File{Name: standInFile, Data: standIn})
	p.Stands, p.ServerCwd = true, "/"
	p.Ready = Ready{Line: regexp.MustCompile(`^debugbroker ` + nonce + ` ready$`), Timeout: 20 * time.Second}
	p.ServerLine = regexp.MustCompile(`^debugbroker ` + nonce + ` `)
	p.Failures = append(p.Failures, targetGone(req))
}

// targetGone is what the scripts say that find the program gone, or another process in its place.
func targetGone(req Request) Failure {
	return Failure{
		Match: regexp.MustCompile(`(?m)^debugbroker ` + req.nonce() + ` gone (.*)$`), Code: NotFound,
		Message: "process " + strconv.Itoa(req.Target.PID) + ": $1", Hint: "brokerctl ps lists what is there",
	}
}
