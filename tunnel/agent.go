package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	agentDialTimeout = 3 * time.Second
	maxAgentKeys     = 256 // more than any server lets us try
)

// agentKeys is an open connection to the user's ssh-agent and what it holds.
type agentKeys struct {
	conn    net.Conn
	client  agent.Agent
	signers []ssh.Signer
}

// agentSigner is one key of an agent. An agent may ask its user before it signs, or wait for a touch: the end of the handshake ends that.
type agentSigner struct {
	ssh.AlgorithmSigner
	public ssh.PublicKey // a *ssh.Certificate where it is one
	conn   net.Conn
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *agentSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	_ = s.conn.SetDeadline(time.Now().Add(maxAsking))
	return s.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

// add gives the agent a key.
func (a *agentKeys) add(key agent.AddedKey) {
	_ = a.conn.SetDeadline(time.Now().Add(agentDialTimeout))
	_ = a.client.Add(key) // an agent that takes no keys is no reason not to connect
}

func (a *agentKeys) close() {
	if a != nil && a.conn != nil {
		_ = a.conn.Close()
	}
}

// openAgent connects to the agent that serves a hop: the hop's own (IdentityAgent), or the first of the callers' that
// answers. It returns nil where there is none; note says why one that should be there is of no use.
func openAgent(ctx context.Context, hop *Hop, callers []string) (keys *agentKeys, note string) {
	socks := callers
	switch hop.IdentityAgent {
	case "":
	case "none":
		return nil, ""
	default:
		socks = []string{hop.IdentityAgent}
	}
	for _, sock := range socks {
		if sock == "" {
			continue
		}
		keys, err := dialAgent(ctx, sock)
		if err == nil {
			return keys, ""
		}
		note = fmt.Sprintf("the agent at %s is not used: %s", sock, err)
	}
	return nil, note
}

func dialAgent(ctx context.Context, sock string) (*agentKeys, error) {
	if err := ourSocket(sock); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: agentDialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", sock)
	if err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return nil, errno
		}
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(agentDialTimeout))
	keys := &agentKeys{conn: conn, client: agent.NewClient(conn)}
	signers, err := keys.client.Signers()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("list its keys: %w", err)
	}
	for _, signer := range signers[:min(len(signers), maxAgentKeys)] {
		plain, ok := signer.(ssh.AlgorithmSigner)
		if !ok {
			continue
		}
		public := plain.PublicKey()
		if cert := certOf(public); cert != nil {
			public = cert
		}
		keys.signers = append(keys.signers, &agentSigner{plain, public, conn})
	}
	return keys, nil
}

// AgentKeys tells the keys that the agent at sock holds, as fingerprints, or why it is not used.
func AgentKeys(ctx context.Context, sock string) ([]string, error) {
	keys, err := dialAgent(ctx, sock)
	if err != nil {
		return nil, err
	}
	defer keys.close()
	var prints []string
	for _, s := range keys.signers {
		prints = append(prints, fingerprint(s.PublicKey()))
	}
	return prints, nil
}

// ourSocket refuses an agent socket of another user: whoever serves it would see what we sign, and could feed us keys.
func ourSocket(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.New(reason(err))
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("it is no socket")
	}
	if !ownedByUs(info) {
		return errors.New("the socket belongs to another user")
	}
	return nil
}

func ownedByUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
