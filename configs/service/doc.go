// Package service writes what makes brokerd a service of the user's: a systemd user unit, or a launchd agent. It turns Options into
// files and reads back from them what it must know of an installed one; who installs them is brokerctl.
//
// It starts no goroutine, touches no file and runs no program.
//
// # Why there is no socket unit
//
// With socket activation systemd listens for brokerd, and whoever connects starts it. Then nobody could ask whether it runs without
// starting it: `brokerctl stop`, `version`, `service status` and completion promise not to, `stop` would wait for the end of one
// daemon and start the next, and brokerd could not tell its own socket from another daemon's (cmd/brokerd/socket.go). It would gain
// nothing: brokerctl starts the unit when it is needed.
//
// # Why the unit has hardly any sandbox
//
// brokerd runs what the user would run: `ssh -G` with the user's Match exec, and for `:LANG` the user's programs under a debugger. What
// holds brokerd holds them. Most directives need a user namespace or seccomp, which a user's manager can only have together with
// NoNewPrivileges, and that ends `sudo -n` (open --sudo) and ssh-keysign. So, one by one:
//
//   - NoNewPrivileges, RestrictSUIDSGID: break sudo.
//   - PrivateTmp: ssh-agent's socket and our workspaces lie in /tmp, and both are shared with others.
//   - ProtectHome, ProtectSystem, ReadOnlyPaths: the user's programs write where the user may.
//   - PrivateUsers, and what implies it: other users' processes would belong to nobody, and --sudo would reach none.
//   - PrivateDevices, PrivateNetwork, RestrictAddressFamilies, IPAddressDeny: the programs' own business.
//   - SystemCallFilter, LockPersonality, MemoryDenyWriteExecute: Delve traces and switches off address randomization, node and
//     the JVM make code while they run.
//   - ProtectProc: processes to attach to are looked for in /proc.
//   - LimitCORE, TasksMax, MemoryMax: would be the debuggee's, too.
//   - WatchdogSec: a machine that slept would find its sessions ended.
//
// What is there: NotifyAccess=main, UMask=0077, OOMPolicy=continue, and KillMode=process. The unit's comments say why.
package service
