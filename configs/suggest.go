package configs

import (
	"fmt"
	"strings"
)

// didYouMean returns ", did you mean …?" where one of the words is near.
func didYouMean(got string, words []string) string {
	best, bestDistance := "", max(1, min(3, len(got)/3))+1
	for _, w := range words {
		if d := distance(got, w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// suggestKey looks for a key of another table first: ttl at the top is session.ttl. fields are those of the place.
func suggestKey(got string, fields []field) string {
	name := got[strings.LastIndex(got, ".")+1:]
	var keys []string
	for _, f := range fields {
		if f.key[strings.LastIndex(f.key, ".")+1:] == name {
			return fmt.Sprintf(", did you mean %s?", f.key)
		}
		keys = append(keys, f.key)
	}
	return didYouMean(got, keys)
}

// distance is Levenshtein's, in bytes; it gives up on long words.
func distance(a, b string) int {
	const long = 64
	if len(a) > long || len(b) > long {
		return long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
