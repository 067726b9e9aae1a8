package store

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CheckURL tells what Open would refuse of a database URL before it connects, in a sentence that shows no password.
// Whether the database is there is not asked.
func CheckURL(address string) error {
	switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
	case "sqlite":
		return checkLitePath(rest)
	case "postgres", "postgresql":
		_, err := parsePostgres(address)
		return err
	}
	return errors.New("the database URL must begin with sqlite: or postgres://")
}

func checkLitePath(path string) error {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return errors.New("sqlite needs a file: sqlite:PATH")
	}
	return nil
}

// parsePostgres reads the URL as the driver does, with the PG… variables beside it. The driver's own sentence quotes
// the URL, and in a malformed one a password can stand anywhere: only the name of the parameter that is at fault and
// its reason are told.
func parsePostgres(address string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the database URL cannot be parsed")
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, blame(u, err)
	}
	if asynchronous(config.RuntimeParams) {
		return nil, errors.New("synchronous_commit is off: a database that is killed would then lose refreshes it has acknowledged, and leave phones with tokens nobody can answer")
	}
	return config, nil
}

// blame finds the parameter without which the driver would read the URL.
func blame(u *url.URL, err error) error {
	if _, envErr := pgx.ParseConfig("postgres://"); envErr != nil {
		return fmt.Errorf("a PG… variable of the environment cannot be used%s", reason(envErr))
	}
	query := u.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		rest := maps.Clone(query)
		delete(rest, name)
		without := *u
		without.RawQuery = rest.Encode()
		if _, stillErr := pgx.ParseConfig(without.String()); stillErr == nil {
			return fmt.Errorf("the parameter %s of the database URL cannot be used%s", name, reason(err))
		}
	}
	return errors.New("the database URL cannot be parsed")
}

// reason is the cause below the driver's sentence.
func reason(err error) string {
	var number *strconv.NumError
	if errors.As(err, &number) {
		return ": it is not a number"
	}
	if cause := errors.Unwrap(err); cause != nil {
		return ": " + cause.Error()
	}
	return ""
}

// offInOptions finds the setting among the command-line options of a session: -c name=value, -cname=value or
// --name=value, where a dash counts as an underscore.
var offInOptions = regexp.MustCompile(`(?i)(^|[\s]|-c|--)synchronous[-_]commit=(off|false|no|0)(\s|$)`)

// asynchronous tells whether PostgreSQL would answer a commit that is not on disk yet. A refresh is a promise to the
// phone: once its new token is out, the row must survive the database (DESIGN section 6).
func asynchronous(params map[string]string) bool {
	for name, value := range params {
		if strings.EqualFold(name, "synchronous_commit") && slices.Contains([]string{"off", "false", "no", "0"}, strings.ToLower(value)) {
			return true
		}
	}
	return offInOptions.MatchString(strings.ReplaceAll(params["options"], `\`, ""))
}
