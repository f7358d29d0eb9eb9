package ide

import "github.com/debugbroker/debugbroker/broker/api"

// attach are the members of an attach request that editors with a debug adapter protocol have in common; where the adapter is to be
// reached is each editor's own. The keys are debugpy's, Delve's, js-debug's and java-debug's. JDWP has no paths.
func attach(s session, maps []api.PathMap, notes []string) (object, []string) {
	switch s.lang {
	case "python":
		return paths("pathMappings", "localRoot", "remoteRoot", maps), notes
	case "go":
		return append(object{{"mode", "remote"}}, paths("substitutePath", "from", "to", maps)...), notes
	case "node":
		o := object{{"address", s.host}, {"port", s.port}}
		m, notes := one(maps, notes)
		if m != nil {
			o = append(o, member{"localRoot", m.Local}, member{"remoteRoot", m.Remote})
		}
		// The address looks local, so js-debug would write a path of this machine into the remote's NODE_OPTIONS, look for the remote's
		// children among the processes here, and kill one of them.
		// continueOnAttach: a program that waits for a front end then runs to the first breakpoint, as with the other languages.
		return append(o, member{"continueOnAttach", true}, member{"autoAttachChildProcesses", false}, member{"attachExistingChildren", false}), notes
	default:
		return object{{"hostName", s.host}, {"port", s.port}}, nil
	}
}

func paths(key, local, remote string, maps []api.PathMap) object {
	if len(maps) == 0 {
		return nil
	}
	var l list
	for _, m := range maps {
		l = append(l, object{{local, m.Local}, {remote, m.Remote}})
	}
	return object{{key, l}}
}
