// Package sshconfig turns what a user types after `ssh` into a tunnel.Target, by the user's own ssh configuration.
//
// The ground truth is `ssh -G`, which reads the files as ssh does. Where there is no ssh program, a reader of our own stands in (native*.go,
// after readconf.c): it evaluates Host and Match, follows Includes, and prints what it finds in the form of `ssh -G`, so that both go the same
// way from there (settings, then makeHop). kevinburke/ssh_config lists the hosts of the configuration, which ssh cannot.
//
// testdata/corpus has configurations as they are met, and some that nobody should have. A test, a generator of configurations and a fuzz target
// hold the two readers against each other. They differ on purpose in this:
//
//   - ssh refuses a whole file for one line that it does not like; without ssh that line is left out and told. A file that others may write is
//     refused by both.
//   - Without ssh, + - and ^ change the list of algorithms that we have, since ssh's is not known, `Match version` matches nothing, and
//     CanonicalizeHostname finds names with their domain in /etc/hosts, too.
//   - Where versions of ssh differ (tokens in User and Include, %j, `Match !final`) the newest is followed.
//
// # Goroutines
//
// None outlive a call. All methods of a Resolver may be called at the same time.
//
// # Invariants
//
//   - A name that ssh could take for an option, or a shell for syntax, never reaches a command line: ErrBadName.
//   - What the configuration asks for and we do not do is a warning on the Hop; it is never dropped silently. What a distribution sets for
//     everybody in the system's file is no warning.
//   - A setting that says what holds anyway leaves its field of the Hop zero, so that our own defaults are used.
//   - Paths of a Hop are absolute and commands have their tokens filled in, but for those of KnownHostsCommand that only a connection knows.
//   - `ssh -G` and `Match exec` run programs of the user's, so they have a time limit for all together, and answers are kept for as long as the
//     files they came from stay the same; for seconds where they depend on more than files, or where a file is so new that its time could stay
//     the same in a change. What is kept is bounded, and so are files, Includes and what ssh prints.
//
// # What it does not do
//
// It opens no connection but to name servers, where the configuration has CanonicalizeHostname or CanonicalizePermittedCNAMEs, and writes no file. SendEnv is told and
// not done: one connection serves callers with different environments. It does not grant what Debian's ssh does, a configuration that
// a group of one member may write, where there is no ssh.
package sshconfig
