package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/tunnel"
)

// recover enrolls the forwards that an earlier brokerd kept, and those of the configuration. run starts them.
func (m *forwards) recover() error {
	recs, err := m.store.Forwards()
	if err != nil {
		return err
	}
	for _, r := range recs {
		w := wanted{
			host: r.Host, sameUser: r.SameUser, source: byCommand, created: r.Created,
			spec: tunnel.ForwardSpec{Kind: tunnel.ForwardKind(r.Kind), Listen: tunnel.Endpoint(r.Listen), Target: tunnel.Endpoint(r.Target)},
		}
		if _, _, err := m.enroll(context.Background(), w, r.Name, false); err != nil {
			return fmt.Errorf("take up the forward %s: %w", r.Name, err)
		}
	}
	for _, c := range m.config.Forwards {
		_, kind, text := forwardOf(c)
		spec, err := parseForward(kind, text)
		if err != nil {
			return err // CheckForwards has told it with its place
		}
		w := wanted{host: c.Host, spec: spec, sameUser: c.SameUser, source: byConfig, created: time.Now().UTC()}
		if _, _, err := m.enroll(context.Background(), w, c.Name, false); err != nil {
			return fmt.Errorf("forward of the configuration, line %d: %w", c.Line, err)
		}
	}
	return nil
}

// forwardOf is the key, the kind and the text of a [[forward]].
func forwardOf(c configs.Forward) (key, kind, text string) {
	switch {
	case c.Local != "":
		return "forward.local", string(tunnel.ForwardLocal), c.Local
	case c.Remote != "":
		return "forward.remote", string(tunnel.ForwardRemote), c.Remote
	default:
		return "forward.socks", string(tunnel.ForwardSocks), c.Socks
	}
}

// CheckForwards tells what is wrong with the texts of a configuration's forwards, which package configs does not look into. path is the
// file's. The error is a *configs.Error.
func CheckForwards(cfg configs.Config, path string) error {
	var problems []configs.Problem
	for _, c := range cfg.Forwards {
		key, kind, text := forwardOf(c)
		if _, err := parseForward(kind, text); err != nil {
			problems = append(problems, configs.Problem{Line: c.Line, Key: key, Message: err.Error()})
		}
	}
	if len(problems) > 0 {
		return &configs.Error{Path: path, Problems: problems}
	}
	return nil
}

// takeSSHForwards keeps what the ssh configuration has as forwards of the hosts that the configuration wants them of. Reading it runs
// programs, so it is done while brokerd answers already.
func (m *forwards) takeSSHForwards(ctx context.Context) {
	var names []string
	patterns := false
	for _, h := range m.config.Hosts {
		patterns = patterns || h.Pattern()
		if !h.Pattern() && m.config.KeepsSSHForwards(h.Match) {
			names = append(names, h.Match)
		}
	}
	if patterns {
		all, err := m.hosts.Names(ctx)
		if err != nil {
			m.log.Warn("list the hosts whose ssh configuration may have forwards", "error", err)
		}
		for _, name := range all {
			if m.config.KeepsSSHForwards(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	var hosts sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, name := range slices.Compact(names) {
		slots <- struct{}{}
		hosts.Go(func() {
			defer func() { <-slots }()
			m.takeSSHForwardsOf(ctx, name)
		})
	}
	hosts.Wait()
}

// passedOver are those of a host's forwards in the ssh configuration that nothing makes, where our configuration says nothing of them. Where
// it has ssh_forwards = true they have been kept, and what is missing now somebody has removed; with false nobody wants them.
func (m *forwards) passedOver(name string, specs []tunnel.ForwardSpec) (missing []tunnel.ForwardSpec) {
	if !m.config.PassesOverSSHForwards(name) {
		return nil
	}
	all := m.list()
	for _, spec := range specs {
		if !slices.ContainsFunc(all, func(f *forward) bool { return f.host == name && f.spec == spec }) {
			missing = append(missing, spec)
		}
	}
	return missing
}

func (m *forwards) takeSSHForwardsOf(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	target, _, err := m.hosts.resolve(ctx, name, api.Caller{})
	if err != nil {
		m.log.Warn("read the forwards of the ssh configuration", "host", name, "error", err)
		m.events.add("", "forward-failed", fmt.Sprintf("the forwards of %s in the ssh configuration: %v", name, err))
		return
	}
	for _, spec := range target.Last().Forwards {
		f, isNew, err := m.enroll(ctx, wanted{host: name, spec: spec, source: bySSHConfig, created: time.Now().UTC()}, "", false)
		if err != nil {
			m.log.Warn("keep a forward of the ssh configuration", "host", name, "spec", spec.String(), "error", err)
			continue
		}
		if isNew {
			m.start(f)
			f.link.begin()
		}
	}
}
