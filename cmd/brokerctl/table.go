package main

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// printList prints a list as JSON, for people as the lines that it makes, or says that there is none. width is the screen's; 0 is no limit.
func printList[T any](a *app, list []T, none string, lines func(list []T, width int) []string) error {
	if a.json {
		return a.printJSON(append([]T{}, list...))
	}
	if len(list) == 0 {
		a.say("%s", none)
		return nil
	}
	width, _ := a.stdout.size()
	return a.print(strings.Join(lines(list, width), "\n") + "\n")
}

// table aligns rows of clean cells under a head, and cuts each line to width; 0 is no limit. Columns are as wide as their widest
// cell; the last is not padded.
func table(head []string, rows [][]string, width int) []string {
	all := append([][]string{head}, rows...)
	widths := columns(all)
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

const (
	lastColumn = 24 // columns of the screen that the last of a table gets at least, if it has as much to say
	widestKept = 16 // a column that is no wider is never shortened: ids, addresses
)

// fitted is table for a screen: where that is too narrow for all and some of the last column, the columns named in spare are left out, in
// that order, and then long cells of others are shortened. Without a width (no terminal) everything is there.
func fitted(head []string, rows [][]string, width int, spare ...string) []string {
	if width <= 0 {
		return table(head, rows, width)
	}
	all := append([][]string{slices.Clone(head)}, cloned(rows)...)
	for _, name := range spare {
		if missing(all, width) <= 0 {
			break
		}
		if i := slices.Index(all[0], name); i >= 0 {
			for r := range all {
				all[r] = slices.Delete(all[r], i, i+1)
			}
		}
	}
	for {
		over, widths := missing(all, width), columns(all)
		widest := 0
		for i, w := range widths[:len(widths)-1] {
			if w > widths[widest] {
				widest = i
			}
		}
		if over <= 0 || widths[widest] <= widestKept {
			return table(all[0], all[1:], width)
		}
		for r := range all {
			all[r][widest] = cut(all[r][widest], max(widestKept, widths[widest]-over))
		}
	}
}

// missing is how many columns of the screen a table lacks.
func missing(all [][]string, width int) int {
	widths := columns(all)
	last := len(widths) - 1
	need := min(lastColumn, widths[last])
	for _, w := range widths[:last] {
		need += w + 2
	}
	return need - width
}

// columns is how wide each column's widest cell is.
func columns(all [][]string) []int {
	widths := make([]int, len(all[0]))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func cloned(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
	}
	return out
}
