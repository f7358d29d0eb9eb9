package main

import "github.com/debugbroker/debugbroker/broker/api"

// place is where the daemon lives that this command line means. All paths are absolute.
type place struct {
	stateDir    string
	socket      string
	config      string // "" where no home directory tells one
	configGiven bool   // by --config or BROKER_CONFIG: it must exist, and be the running daemon's
	sshConfig   string // BROKER_SSH_CONFIG, as ssh -F takes it; "" is the user's own
}

// locate asks package api, whose rules are the daemon's too.
func locate(socket, config string, env func(string) string) (p place, err error) {
	if p.stateDir, err = api.StateDir(env); err != nil {
		return place{}, err
	}
	if p.socket, err = api.Socket(socket, env); err != nil {
		return place{}, err
	}
	if p.config, p.configGiven, err = api.ConfigFile(config, env); err != nil {
		return place{}, err
	}
	p.sshConfig, err = api.SSHConfig("", env)
	return p, err
}
