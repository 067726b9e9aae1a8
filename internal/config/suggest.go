package config

import "strings"

// nearest returns the known word most like the given one, or "" if none is like it.
func nearest(word string, known []string) string {
	best, bestDistance := "", 1+max(2, len(word)/3)
	for _, k := range known {
		d := distance(word, k)
		if len(word) >= 3 && (strings.HasPrefix(k, word+"_") || strings.HasPrefix(word, k+"_")) {
			d = min(d, 2) // "secret" for "secret_file"
		}
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters must be added, dropped or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
