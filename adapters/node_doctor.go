package adapters

// Examine asks for node and its version.
func (node) Examine(req Request) []Command {
	script := factFunction + homeFunction + "home=" + quote(orRoot(req.Host.Home)) + "\n" + findTool(req) + "found=\n" + findNode(req) + nodeVersionScript
	return []Command{{Key: nodeProbe, Script: script}}
}

// Findings: node needs nothing else, its inspector is built in.
func (node) Findings(req Request) []Finding {
	const check = "node"
	f := parseFacts(req.Facts[nodeProbe])
	file := f.first("node")
	if file == "" {
		return []Finding{failing(check, "install it there, or name it with --interpreter or node.node in the configuration", "no node on the login shell's PATH, nor of nvm or volta")}
	}
	version, ok := nodeVersion(f.first("version"))
	switch {
	case !ok:
		return []Finding{failing(check, "--interpreter names the node command on the host", "%s prints no node's version", file)}
	case version == "":
		return []Finding{{Check: check, OK: true, Detail: file + " does not tell its version", Hint: "a wrapper script? It must hand on --inspect"}}
	case older(version, "12.0"):
		return []Finding{failing(check, "12 is the oldest that is supported: install a newer one", "%s, %s", file, version)}
	case !nodeHidesUID(version):
		return []Finding{{Check: check, OK: true, Detail: file + ", " + version, Hint: "from 12.8 on the inspector's address is kept from other accounts"}}
	}
	return []Finding{holds(check, "%s, %s", file, version)}
}
