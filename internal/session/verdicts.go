package session

import "slices"

// Verdicts are all values of the event's field "rotation": the rows of the state table, and what is decided before the
// table is asked and beside it.
func Verdicts() []string {
	list := []string{
		"advanced", "forged", "unknown_key", "unknown_session", "no_audience", "too_many_refreshes", "too_many_retries",
	}
	for as, name := range verdictNames {
		if as != current { // it advances, or is put to the database again
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
