// Package configs is the daemon's configuration: its defaults, the TOML file that changes them, and what is wrong with such a file.
//
// A file with several mistakes is told all of them, each with its line. go-toml's decoder stops at the first value of a wrong type,
// so the file is read as an expression tree and held against a table (schema). The decoder has the last word on what is TOML.
//
// Tables that may be there several times ([[forward]], [[host]]: arrays) keep the line that they began in, so that what only others can
// judge, the text of a forward, can be told with its place.
//
// Only keys whose effect exists are known; any other one is a mistake, never ignored.
//
// The package starts no goroutines, reads one file and nothing else, and does not know where that file is (broker/api: ConfigFile).
// It does not look whether the programs that a file names are there: most of them are on other machines.
package configs
