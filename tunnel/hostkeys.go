package tunnel

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys judges the keys that one hop shows, by the user's and the system's known_hosts files, as OpenSSH does with
// StrictHostKeyChecking yes.
type hostKeys struct {
	hop    *Hop
	db     *knownhosts.HostKeyDB
	origin map[string]string // sanitised copy -> the file that the user knows
	lookup string            // host:port under which the key is looked up
}

func loadHostKeys(hop *Hop) (*hostKeys, error) {
	files, err := sanitiseKnownHosts(slices.Concat(hop.UserKnownHostsFiles, hop.GlobalKnownHostsFiles))
	if err != nil {
		return nil, err
	}
	defer files.remove()
	db, err := knownhosts.NewDB(files.copies...)
	if err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	k := &hostKeys{hop: hop, db: db, origin: files.origin, lookup: strings.ToLower(hop.addr())}
	if hop.HostKeyAlias != "" {
		// ssh_config(5): the alias stands for the host name in the files, and no port is added to it.
		k.lookup = net.JoinHostPort(strings.ToLower(hop.HostKeyAlias), "22")
	}
	return k, nil
}

// algorithms orders what we accept so that the server shows a key of a kind that we know; the other kinds stay in the list,
// so that a host known by another kind is reported as such and not as one that we share no algorithm with.
func (k *hostKeys) algorithms() []string {
	list := k.db.HostKeyAlgorithms(k.lookup)
	if bare := k.withoutPort(); len(list) == 0 && bare != "" {
		list = k.db.HostKeyAlgorithms(bare)
	}
	supported := ssh.SupportedAlgorithms().HostKeys
	list = slices.DeleteFunc(list, func(a string) bool { return !slices.Contains(supported, a) })
	// No CA of ours: a certificate cannot be judged, and OpenSSH then looks at the plain key instead.
	certs := slices.ContainsFunc(list, isCertAlgo)
	for _, a := range supported {
		if !slices.Contains(list, a) && (certs || !isCertAlgo(a)) {
			list = append(list, a)
		}
	}
	return list
}

func isCertAlgo(algo string) bool { return strings.Contains(algo, "-cert-v0") }

// withoutPort is the second name that OpenSSH looks up for a host on a port of its own; "" where there is none.
func (k *hostKeys) withoutPort() string {
	host, port, err := net.SplitHostPort(k.lookup)
	if err != nil || port == "22" {
		return ""
	}
	return net.JoinHostPort(host, "22")
}

// check is the ssh.HostKeyCallback. Its errors wrap ErrHostKey.
func (k *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	judge := k.db.HostKeyCallback()
	// The library insists on an address with a port; a stream through another hop has none that means anything here.
	placeholder := &net.TCPAddr{IP: net.IPv4zero}
	err := judge(k.lookup, placeholder, key)
	if err == nil {
		return nil
	}
	var revoked *xknownhosts.RevokedError
	if errors.As(err, &revoked) {
		return hinted(fmt.Errorf("%w: the key that %s shows (%s) is revoked in %s:%d",
			ErrHostKey, k.hop.addr(), fingerprint(key), k.origin[revoked.Revoked.Filename], revoked.Revoked.Line),
			"someone declared this key stolen: do not connect before you know why the host still uses it")
	}
	var unknown *xknownhosts.KeyError
	if !errors.As(err, &unknown) {
		// A certificate that is expired, for another host, or of an authority that we do not know.
		return hinted(fmt.Errorf("%w: %s: %w", ErrHostKey, k.hop.addr(), err),
			fmt.Sprintf("`%s` tells more", k.sshCommand("-v")))
	}
	if bare := k.withoutPort(); bare != "" && len(unknown.Want) == 0 && judge(bare, placeholder, key) == nil {
		return nil
	}
	return k.notTrusted(key, unknown.Want)
}

// notTrusted tells a changed key (one of the same kind is known) from an unknown one.
func (k *hostKeys) notTrusted(key ssh.PublicKey, want []xknownhosts.KnownKey) error {
	var other []string
	for _, known := range want {
		where := fmt.Sprintf("%s:%d", k.origin[known.Filename], known.Line)
		if known.Key.Type() == key.Type() {
			return hinted(fmt.Errorf("%w: the key of %s has changed: it shows %s, and %s has %s",
				ErrHostKey, k.hop.addr(), fingerprint(key), where, fingerprint(known.Key)),
				"someone may be listening in on you (an attack), or the host was installed anew: ask who runs it, and only then"+
					" remove the old line with `ssh-keygen -R '"+xknownhosts.Normalize(k.lookup)+"'`")
		}
		other = append(other, where)
	}
	err := fmt.Errorf("%w: the key of %s is unknown: %s", ErrHostKey, k.hop.addr(), fingerprint(key))
	if len(other) > 0 {
		err = fmt.Errorf("%w (keys of other kinds are in %s)", err, strings.Join(other, ", "))
	}
	return hinted(err, fmt.Sprintf("run `%s` once, compare the fingerprint, and accept the key there", k.sshCommand("")))
}

// sshCommand is what a person types to meet the same host with ssh itself.
func (k *hostKeys) sshCommand(flag string) string {
	words := []string{"ssh"}
	if flag != "" {
		words = append(words, flag)
	}
	return strings.Join(append(words, k.hop.name()), " ")
}

func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
