package api

import "time"

// Version is the API's version. A client and a daemon of different versions do not talk; the hint is to restart the daemon.
const Version = 1

// Phase is where a session is in its life.
type Phase string

// The phases.
const (
	PhaseOpening  Phase = "opening"
	PhaseReady    Phase = "ready"    // the local port may be connected to
	PhaseAttached Phase = "attached" // at least one front end is there
	PhaseClosing  Phase = "closing"
	PhaseClosed   Phase = "closed"
	PhaseFailed   Phase = "failed"
	PhaseExpired  Phase = "expired"
)

// Ended tells whether a session in this phase is over.
func (p Phase) Ended() bool { return p == PhaseClosed || p == PhaseFailed || p == PhaseExpired }

// Session is a session as users and scripts see it.
type Session struct {
	ID       string     `json:"id"`
	Host     string     `json:"host"` // "" is this machine
	Lang     string     `json:"lang"`
	Mode     string     `json:"mode"` // launch, attach, port
	Phase    Phase      `json:"phase"`
	Protocol string     `json:"protocol"` // dap, cdp, jdwp
	Local    string     `json:"local"`    // 127.0.0.1:PORT
	Server   string     `json:"server"`   // "debugpy 1.6.6"
	PID      *int       `json:"pid"`      // the debuggee's
	Remote   string     `json:"remote"`   // 127.0.0.1:PORT, unix:PATH or stdio
	Command  []string   `json:"command"`
	Cwd      string     `json:"cwd"`
	Map      []PathMap  `json:"map"`
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	Ended    *time.Time `json:"ended"`
	Policy   string     `json:"policy"`
	Reason   string     `json:"reason"`
	Warnings []string   `json:"warnings"`
	Exit     *Exit      `json:"exit"`
	Error    *Error     `json:"error"`
	Link     *Link      `json:"link"`
	Clients  int        `json:"clients"`
	// Left names what is still on the remote of ours; empty once the clean-up is proved.
	Left []string `json:"left"`
}

// PathMap maps a directory here to one on the remote.
type PathMap struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// Exit is how a debuggee ended: exactly one field is set.
type Exit struct {
	Code   *int   `json:"code,omitempty"`
	Signal string `json:"signal,omitempty"` // without SIG
}

// Link is the SSH link under a session or host.
type Link struct {
	State      string  `json:"state"` // up, connecting, waiting (for the next try), needs-auth, down; "local" on this machine
	RTT        float64 `json:"rtt_ms"`
	Reconnects int     `json:"reconnects"`
	Relay      bool    `json:"relay"`
	Error      *Error  `json:"error,omitempty"` // why it is not up, where a try has failed
}

// OpenRequest asks for a session.
type OpenRequest struct {
	Host        string        `json:"host"`
	Lang        string        `json:"lang"`
	Program     []string      `json:"program,omitempty"`
	Port        int           `json:"port,omitempty"`
	PID         int           `json:"pid,omitempty"`   // attach to this process
	Match       string        `json:"match,omitempty"` // attach to the process whose command line matches (RE2)
	Unit        string        `json:"unit,omitempty"`  // attach to the process of this systemd unit
	Sudo        bool          `json:"sudo,omitempty"`  // what runs on the host runs through sudo -n
	Cwd         string        `json:"cwd,omitempty"`
	LocalCwd    string        `json:"local_cwd,omitempty"`
	Env         []string      `json:"env,omitempty"` // K=V; never logged, stored or shown
	Interpreter string        `json:"interpreter,omitempty"`
	NoWait      bool          `json:"no_wait,omitempty"`
	Stock       bool          `json:"stock,omitempty"`
	LocalPort   int           `json:"local_port,omitempty"`
	TTL         time.Duration `json:"ttl,omitempty"` // 0: the default
	Reason      string        `json:"reason,omitempty"`
	Map         []PathMap     `json:"map,omitempty"`
	CanPrompt   bool          `json:"can_prompt,omitempty"` // somebody is there to be asked what the host wants to know
	Caller      Caller        `json:"caller"`
}

// Caller is what of the calling shell's environment the daemon may use for this request and later ones.
type Caller struct {
	SSHAuthSock string `json:"ssh_auth_sock,omitempty"`
	KRB5CCName  string `json:"krb5ccname,omitempty"`
	Display     string `json:"display,omitempty"`
	Path        string `json:"path,omitempty"`
}

// OpenEvent is one line of the answer to OpenRequest. The first carries ID, the last carries Session or Error.
type OpenEvent struct {
	ID        string   `json:"id,omitempty"`
	Progress  string   `json:"progress,omitempty"` // "connecting to web1"
	Prompt    *Prompt  `json:"prompt,omitempty"`
	Withdrawn string   `json:"withdrawn,omitempty"` // the id of a prompt that needs no answer any more
	Session   *Session `json:"session,omitempty"`
	Error     *Error   `json:"error,omitempty"`
}

// Closed is the result of closing one session.
type Closed struct {
	ID   string   `json:"id"`
	Left []string `json:"left"` // never null
	// Error is set where the remote could not be cleaned up now.
	Error *Error `json:"error,omitempty"`
}

// LogLine is a line that the debuggee or its debug server printed.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"` // stdout, stderr, server
	Text   string    `json:"text"`
}

// Event is something that happened to a session.
type Event struct {
	Time    time.Time `json:"time"`
	Session string    `json:"session"` // "" for the daemon's own
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
}

// Host is a host of the ssh configuration.
type Host struct {
	Name     string `json:"name"`
	HostName string `json:"hostname"`
	User     string `json:"user"`
	Port     int    `json:"port"`
	Link     *Link  `json:"link"`
	Sessions int    `json:"sessions"`
	Forwards int    `json:"forwards"`
	// SSHForwards is how many forwards the ssh configuration has for the host that nothing makes, and that nobody has decided to do without.
	SSHForwards int `json:"ssh_forwards"`
}

// ForwardState is how a forward is.
type ForwardState string

// The states of forwards.
const (
	ForwardUp      ForwardState = "up"      // a connection gets through at once
	ForwardWaiting ForwardState = "waiting" // the host is not connected; a connection waits for it
	ForwardFailed  ForwardState = "failed"  // nothing listens where it should, or it is not allowed there
	ForwardRemoved ForwardState = "removed" // the last that is told of it
)

// Forward is a forward as users and scripts see it.
type Forward struct {
	Name        string       `json:"name"` // "" is one that was asked for and is not kept: Error says why
	Host        string       `json:"host"`
	Kind        string       `json:"kind"`   // local, remote, socks
	Listen      string       `json:"listen"` // with the port that it really has
	Target      string       `json:"target"` // "" for socks
	State       ForwardState `json:"state"`
	Connections int          `json:"connections"` // open ones
	BytesIn     uint64       `json:"bytes_in"`    // from the host to this machine
	BytesOut    uint64       `json:"bytes_out"`   // from this machine to the host
	Error       *Error       `json:"error"`       // why it is not up; else the last of a connection that came to nothing
	Total       uint64       `json:"total"`       // connections that there have been
	Since       time.Time    `json:"since"`       // when it got into this state
	SameUser    bool         `json:"same_user"`   // connections of other local users are refused
	Source      string       `json:"source"`      // who asked for it: command, config, ssh-config
	// Note is what the user should know though all is well: the server listens elsewhere than it was asked to.
	Note string `json:"note"`
}

// ForwardRequest asks for forwards through a host. Those that are there already stay as they are.
type ForwardRequest struct {
	Host     string        `json:"host"`
	Forwards []ForwardSpec `json:"forwards"`
	Name     string        `json:"name,omitempty"` // "": one is made; further ones are NAME-2, …
	SameUser bool          `json:"same_user,omitempty"`
	Caller   Caller        `json:"caller"`
}

// ForwardSpec is one forward in ssh's syntax.
type ForwardSpec struct {
	Kind string `json:"kind"` // local, remote, socks: ssh's -L, -R and -D
	Spec string `json:"spec"`
}

// ProcessesRequest asks what can be debugged on a host.
type ProcessesRequest struct {
	Host   string `json:"host"`
	Lang   string `json:"lang,omitempty"` // "" is every language
	Sudo   bool   `json:"sudo,omitempty"`
	Caller Caller `json:"caller"`
}

// Process is a process that can be debugged, or a debug server that listens.
type Process struct {
	PID     int      `json:"pid"`
	Lang    string   `json:"lang"`
	Command []string `json:"command"`
	User    string   `json:"user"`
	// Listening is where a debug server of this process listens: "127.0.0.1:5678".
	Listening *string `json:"listening"`
	Tracer    *Tracer `json:"tracer"`
	// Container is where it runs, where that is a container: "docker 3f2a91c0ffee".
	Container string `json:"container"`
	// Server says that it is a debug server itself: open --port takes it, --pid does not.
	Server bool `json:"server"`
	// Session is the id of the session of ours that it belongs to, "" if there is none.
	Session string `json:"session"`
	Cwd     string `json:"cwd"`
}

// Tracer is who traces a process.
type Tracer struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // its name, "" if it is not shown to us
}

// ExtendRequest sets a session's time limit anew: TTL from now.
type ExtendRequest struct {
	TTL time.Duration `json:"ttl"`
}

// DoctorRequest asks for an examination of a host, or of this machine's side of things where Host is "" and Local is not set.
type DoctorRequest struct {
	Host   string `json:"host,omitempty"`
	Local  bool   `json:"local,omitempty"` // this machine as a host to debug on: `doctor :LANG`
	Lang   string `json:"lang,omitempty"`
	Caller Caller `json:"caller"`
}

// Check is one thing that must hold, or that is good to know.
type Check struct {
	Check  string `json:"check"` // "host key", "sftp", …
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found
	Hint   string `json:"hint"`   // what to do about it, "" where nothing is
}

// DaemonInfo is who answers on the socket.
type DaemonInfo struct {
	API       int       `json:"api"`
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Config    string    `json:"config"`     // the file it was started with, "" if there is none
	SSHConfig string    `json:"ssh_config"` // as given by --ssh-config, "" is the user's own
	StateDir  string    `json:"state_dir"`
	// Goroutines is how many there are now: a number that only grows tells of a leak.
	Goroutines int    `json:"goroutines"`
	Service    string `json:"service"` // "systemd" or "launchd", where `brokerctl service install` set it up; else ""
}
