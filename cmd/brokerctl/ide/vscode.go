package ide

// vscode is an entry of launch.json's "configurations". VS Code replaces ${…} in every string, ${command:…} among them.
func vscode(s session) Config {
	maps, notes := s.mapsWithout("${")
	o := object{{"name", s.name()}, {"type", map[string]string{"python": "debugpy", "go": "go", "node": "node", "java": "java"}[s.lang]}, {"request", "attach"}}
	keys, notes := attach(s, maps, notes)
	switch s.lang {
	case "python":
		o = append(o, member{"connect", object{{"host", s.host}, {"port", s.port}}})
	case "go":
		// The stable extension takes its legacy adapter for mode "remote" where it is not told which.
		o = append(o, member{"debugAdapter", "dlv-dap"}, member{"host", s.host}, member{"port", s.port})
	}
	return jsonConfig(s, append(o, keys...), launchJSON(), notes)
}

// zed is an entry of debug.json. Zed replaces $NAME as well as ${NAME}.
func zed(s session) Config {
	maps, notes := s.mapsWithout("$")
	adapter := map[string]string{"python": "Debugpy", "go": "Delve", "node": "JavaScript", "java": "Java"}[s.lang]
	o := object{{"label", s.name()}, {"adapter", adapter}, {"request", "attach"}}
	keys, notes := attach(s, maps, notes)
	switch s.lang {
	case "python":
		o = append(o, member{"connect", object{{"host", s.host}, {"port", s.port}}})
	case "go":
		o = append(o, member{"tcp_connection", object{{"host", s.host}, {"port", s.port}}})
	case "node":
		o = append(o, member{"type", "node"}) // Zed's JavaScript adapter is js-debug, which has several
	}
	return jsonConfig(s, append(o, keys...), debugJSON(), notes)
}

// jsonConfig is a configuration that is an entry of a list in a JSON file.
func jsonConfig(s session, o object, sh shape, notes []string) Config {
	return Config{
		Name: s.name(), File: sh.file, Where: sh.where, Text: string(indented(encode(o), "", sh.unit)) + "\n",
		Value: o, Notes: notes, shape: sh, entry: o,
	}
}

// Line is the configuration in one line, where it is JSON, else "".
func (c Config) Line() string {
	if c.entry == nil {
		return ""
	}
	return string(encode(c.entry))
}
