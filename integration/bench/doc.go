// Package bench measures the built brokerd and brokerctl against what a user would do without them, both in one run and taking turns,
// so that the ratios hold on a machine that does other things too. `make bench` runs it. Nothing is asserted on time.
//
//	step  one step of a debugger, all questions that an editor asks after it, through the session's port, through `ssh -L`, and straight
//	open  `brokerctl open` until it returns, on a link that is up and with a daemon that has to be started, against one ssh command
//	      that starts the debug server and forwards a port
//	attach  `brokerctl open --pid` until it returns and until a front end is in, with the daemon and the link up, against one ssh command
//	        that attaches and forwards a port; and the longest time that the program stands still meanwhile, by itself and part by part
//	        (open, front end, breakpoint, leave, close), beside a program that nobody touches
//	list  `brokerctl list` with the daemon up and with one that has to be started, against a process that only starts
//	idle  brokerd's memory and CPU with 1, 10 and 100 sessions that nobody uses, against as many `ssh -N -L`
//	forward  throughput and latency of a forward against `ssh -L` with the same cipher, how soon it works again after a fault, and what a
//	        hundred of them take, against autossh
//
// Everything runs over the real OpenSSH sshd on loopback, against real debug servers. The package holds benchmarks only, and needs /proc.
package bench
