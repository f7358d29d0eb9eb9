package api

// Code classifies an Error. Codes are part of the promise to scripts: one is never renamed.
type Code string

// The codes. Code.Exit tells which exit status brokerctl ends with; `brokerctl help errors` prints this table.
const (
	CodeUsage          Code = "usage"           // a flag, argument or request that makes no sense
	CodeNotFound       Code = "not-found"       // the program, directory or listener on the remote is not there
	CodePortBusy       Code = "port-busy"       // the local port is taken, or not for us
	CodeProgramEnded   Code = "program-ended"   // the program, or its build, ended before it could be debugged
	CodeNotReady       Code = "not-ready"       // the debug server did not announce itself in time
	CodeExposed        Code = "exposed"         // the debug server listens beyond loopback; it was stopped
	CodeAmbiguous      Code = "ambiguous"       // several processes match
	CodeUnsuitable     Code = "unsuitable"      // the process is there, and cannot be debugged as it is: ours, stopped, of another language, in a container
	CodeTraced         Code = "traced"          // another debugger has the process
	CodeNoPermission   Code = "no-permission"   // the right to trace the process, or sudo, is missing on the remote
	CodeUnknownSession Code = "unknown-session" // no session has this id
	CodeUnknownForward Code = "unknown-forward" // no forward has this name
	CodeForwardLoop    Code = "forward-loop"    // the forward would lead to itself
	CodeEnded          Code = "ended"           // the session, or the question, has ended already
	CodeAuth           Code = "auth"            // the host refused our keys, or asks what only a person can answer
	CodeHostKey        Code = "host-key"        // the host's key is unknown, changed or revoked
	CodeUnresolvable   Code = "unresolvable"    // the name has no address
	CodeUnreachable    Code = "unreachable"     // refused, timed out, no route
	CodeLinkLost       Code = "link-lost"       // the SSH connection ended meanwhile
	CodeForwarding     Code = "forwarding"      // the SSH server forbids what we need
	CodeMissingTool    Code = "missing-tool"    // interpreter or debug server is not on the remote
	CodePolicy         Code = "policy"          // refused by policy
	CodeConfig         Code = "config"          // the configuration has mistakes, or is another one than the daemon's
	CodeStore          Code = "store"           // the database is damaged, foreign or in use
	CodeDaemon         Code = "daemon"          // brokerd cannot be started or reached
	CodeVersion        Code = "version"         // brokerd and brokerctl are of different API versions
	CodeCancelled      Code = "cancelled"       // Ctrl-C
	CodeCleanUp        Code = "clean-up"        // something is left on the remote
	CodeInternal       Code = "internal"        // a bug
)

// Exit is the exit status that goes with the code (CLI.md, "Exit codes").
func (c Code) Exit() int {
	switch c {
	case CodeUsage, CodeConfig:
		return 2
	case CodeUnknownSession, CodeUnknownForward:
		return 3
	case CodeAuth, CodeHostKey:
		return 4
	case CodeUnresolvable, CodeUnreachable, CodeLinkLost, CodeForwarding:
		return 5
	case CodeMissingTool, CodeNoPermission:
		return 6
	case CodePolicy:
		return 7
	case CodeCancelled:
		return 130
	default:
		return 1
	}
}

// Error is what the API answers with instead of a result. Hint says what to do about it.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	// Output is what the program or the debug server printed, where that explains the error: at most 8 KiB, the last of it.
	Output string `json:"output,omitempty"`
}

func (e *Error) Error() string { return e.Message }
