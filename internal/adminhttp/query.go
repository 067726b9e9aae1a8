package adminhttp

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	defaultLimit = 50
	maxLimit     = 200
)

// query reads the query strictly: a filter with a slip of the pen must not turn into no filter at all.
func (r request) query(names ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, oauth.E(oauth.InvalidRequest, "The query cannot be read.").Because(err)
	}
	for name, values := range q {
		if !slices.Contains(names, name) {
			return nil, oauth.E(oauth.InvalidRequest, "The query has a parameter this route does not know.")
		}
		if len(values) > 1 {
			return nil, oauth.E(oauth.InvalidRequest, "The query has "+name+" twice.")
		}
	}
	return q, nil
}

// limit reads how many rows are wanted.
func limit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, oauth.E(oauth.InvalidRequest, "limit must be a number from 1 to 200.")
	}
	return n, nil
}

// id reads an id of a noun; "" is the zero id.
func id[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](text, name string) (T, error) {
	var v T
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		return v, oauth.E(oauth.InvalidRequest, name+" is not an id of the right kind.")
	}
	return v, nil
}

// empty refuses a body where none belongs (AD02): whoever sends one expects something of it.
func (r request) empty() error { return httpd.DecodeJSON(r.Request, &struct{}{}, true) }
