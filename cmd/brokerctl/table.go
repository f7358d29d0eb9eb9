package main

import (
	"strings"
	"unicode/utf8"
)

// table aligns rows of clean cells under a head, and cuts each line to width; 0 is no limit. Columns are as wide as their widest
// cell; the last is not padded.
func table(head []string, rows [][]string, width int) []string {
	all := append([][]string{head}, rows...)
	widths := make([]int, len(head))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, 0, len(all))
	for _, row := range all {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		lines = append(lines, cut(strings.TrimRight(b.String(), " "), width))
	}
	return lines
}

// dash stands where a cell has nothing to say.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
