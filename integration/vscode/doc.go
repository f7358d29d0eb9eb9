// Package vscode runs a real VS Code for tests: the server of code-server in a node, and its window in a headless Chromium that is driven
// over the DevTools protocol. integration/setup.sh puts both on the machine; package tools finds them.
//
// Every wait is for something that the window shows and ends with its context. Close ends what was started, with its children.
package vscode
