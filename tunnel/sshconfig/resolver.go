package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	maxHops   = 16  // on the way to one target
	maxCached = 512 // answers
)

// ErrNoFile says that the file of Options.File is not there.
var ErrNoFile = errors.New("no such ssh configuration file")

// Options set up a Resolver.
type Options struct {
	// File is the configuration to read in place of the user's and the system's, as `ssh -F` does; "" is theirs, "none" is no file.
	File string
	// SSH is the ssh program; "" looks it up in PATH. Where there is none, the files are read without it.
	SSH string
	Log hclog.Logger // nil: no log
}

// Resolver reads ssh configurations.
type Resolver struct {
	from   sources
	binary string // "" reads the files natively
	log    hclog.Logger
	user   account
	names  nameService // where there is no ssh

	mu      sync.Mutex // guards all below
	answers map[string]answer
}

// NewResolver makes a Resolver. It reads nothing yet.
func NewResolver(options Options) *Resolver {
	r := &Resolver{binary: options.SSH, log: options.Log, user: currentAccount(), names: systemNames{}, answers: make(map[string]answer)}
	r.from = sources{file: options.File, home: r.user.home, system: systemConfig}
	if r.log == nil {
		r.log = hclog.NewNullLogger()
	}
	if r.binary == "" {
		r.binary = "ssh"
	}
	path, err := exec.LookPath(r.binary)
	if err != nil {
		r.log.Info("no ssh program: the ssh configuration is read without it", "looked_for", r.binary)
	}
	r.binary = path
	return r
}

// Resolve turns alias (a host, user@host or ssh://user@host:port) into a Target. env is the environment of whoever asks,
// K=V, for Match exec and ${VARIABLES}; nil is our own.
//
// Errors wrap ErrBadName where the name is none, ErrNoFile where Options.File is missing, and else tunnel.ErrHostUnresolvable.
func (r *Resolver) Resolve(ctx context.Context, alias string, env []string) (tunnel.Target, error) {
	d, err := parseDestination(alias)
	if err != nil {
		return tunnel.Target{}, err
	}
	if err := r.checkFile(); err != nil {
		return tunnel.Target{}, err
	}
	if env == nil {
		env = os.Environ()
	}
	hops, err := r.chain(ctx, d, env, nil)
	if err != nil {
		return tunnel.Target{}, classify(alias, err)
	}
	return tunnel.NewTarget(hops), nil
}

func classify(alias string, err error) error {
	if errors.Is(err, tunnel.ErrHostUnresolvable) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: read the ssh configuration for %s: %w", tunnel.ErrHostUnresolvable, alias, err)
}

// chain resolves a destination and the jump hosts before it. As in ssh, which runs `ssh -J a -W b`, only the first jump host
// of a list goes by its own ProxyJump. outer are the destinations that this one is a jump host of.
func (r *Resolver) chain(ctx context.Context, d destination, env []string, outer []destination) ([]tunnel.Hop, error) {
	if slices.Contains(outer, d) {
		return nil, loopError(append(outer, d))
	}
	outer = append(slices.Clone(outer), d)
	hop, jumps, err := r.hop(ctx, d, env, len(outer) > 1)
	if err != nil {
		return nil, err
	}
	if len(outer)+len(jumps) > maxHops {
		return nil, fmt.Errorf("more than %d hops to %s", maxHops, outer[0])
	}
	var hops []tunnel.Hop
	for i, text := range jumps {
		jump, err := parseHop(text)
		if err != nil {
			return nil, fmt.Errorf("ProxyJump of %s: %w", d, err)
		}
		if i == 0 {
			if hops, err = r.chain(ctx, jump, env, outer); err != nil {
				return nil, err
			}
			continue
		}
		next, _, err := r.hop(ctx, jump, env, true)
		if err != nil {
			return nil, err
		}
		// It is reached through the one before, whatever its own configuration says of the way.
		next.ProxyCommand = ""
		hops = append(hops, next)
	}
	return append(hops, hop), nil
}

func loopError(way []destination) error {
	var words []string
	for _, d := range way {
		words = append(words, d.String())
	}
	return &tunnel.HintedError{
		Err:  fmt.Errorf("%w: ProxyJump goes in a circle: %s", tunnel.ErrHostUnresolvable, strings.Join(words, " via ")),
		Hint: fmt.Sprintf("give %s `ProxyJump none` in the ssh configuration, above the ProxyJump that matches it", way[len(way)-1].host),
	}
}

// ofSessions are the options that a jump host's `ssh -W` has no use for: nothing runs there, and nothing but the way on is forwarded.
var ofSessions = []string{
	"dynamicforward", "forwardagent", "forwardx11", "localcommand", "localforward", "permitremoteopen", "remotecommand", "remoteforward", "sendenv",
	"sessiontype", "setenv", "tunnel",
}

// hop resolves one destination, without the way to it.
func (r *Resolver) hop(ctx context.Context, d destination, env []string, jump bool) (tunnel.Hop, []string, error) {
	found, err := r.ask(ctx, d, env)
	if err != nil {
		return tunnel.Hop{}, nil, err
	}
	if jump {
		found.values = maps.Clone(found.values) // others have them, too
		for _, name := range ofSessions {
			delete(found.values, name)
		}
	}
	base, err := r.baseline(ctx, env)
	if err != nil {
		return tunnel.Hop{}, nil, err
	}
	hop, jumps, err := makeHop(d, found.values, base, newExpander(r.user, d, found.values, env))
	hop.Warnings = append(hop.Warnings, found.notes...)
	return hop, jumps, err
}
