// Package ide writes a session down as each debugger front end wants to have it: VS Code's launch.json, nvim-dap's Lua, Zed's debug.json,
// JetBrains' run configurations, dape's Emacs Lisp, the address for Chrome, and command lines.
//
// It is pure: a session goes in, text comes out, and files are bytes. What a session says about paths may come from a hostile host, so text
// holds no control characters, strings are escaped for the language that they stand in, and a path in which the front end would replace a
// variable or run a command ("${command:…}") is left out with a note.
package ide
