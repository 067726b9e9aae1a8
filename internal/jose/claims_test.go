package jose

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

func mustParse(t testing.TB, data string) Claims {
	t.Helper()
	c, err := ParseObject([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTextIsReadAsWritten(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:               "plain",
		`"é漢"`:                  "é漢",
		`"\"\\\/\b\f\n\r\t"`:    "\"\\/\b\f\n\r\t",
		`"\u00e9\uD83D\ude00x"`: "é😀x",
		`"\u0000"`:              "\x00",
		`""`:                    "",
	} {
		got, ok, err := mustParse(t, `{"v": `+in+` }`).String("v")
		if got != want || !ok || err != nil {
			t.Errorf("%s read as %q, %v, %v", in, got, ok, err)
		}
	}
}

func TestValuesThatAreNoJSON(t *testing.T) {
	for _, v := range []string{
		`01`, `-`, `1.`, `.5`, `1e`, `+1`, `0x1`, `NaN`, `tru`, `True`, `'a'`, `"a`, `"\x"`, `"\u12g4"`, `"\ud800\u0041"`,
		`"\udc00"`, `"\ud800x"`, "\"\n\"", "\"\\n\t\"", `[1,]`, `[1 2]`, `[`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `1;`, ``, "\"\\",
	} {
		if c, err := ParseObject([]byte(`{"v":` + v + `}`)); err == nil {
			t.Errorf("%s was read as %v", v, c.m)
		}
	}
}

// rfc7519-7.3-01
func TestWhatLooksAlikeButIsNotIsKeptApart(t *testing.T) {
	c := mustParse(t, `{"x5t":"a","x5t#S256":"b","ｓub":"c","sub":"d","kid":1,"kids":2,"Name":"e"}`)
	if sub, _, _ := c.String("sub"); sub != "d" {
		t.Errorf("sub = %q", sub)
	}
	if c.Has("name") {
		t.Error("names are matched whatever their case")
	}
}

// rfc7519-4.1.6-01
func TestDates(t *testing.T) {
	for in, want := range map[string]time.Time{
		"0":             time.Unix(0, 0),
		"1893456000":    time.Unix(1893456000, 0),
		"1893456000.25": time.Unix(1893456000, 250_000_000),
		"1.0000000009":  time.Unix(1, 0),
		"253402300799":  time.Unix(maxDate, 0),
	} {
		got, ok, err := mustParse(t, `{"exp":`+in+`}`).Time("exp")
		if !got.Equal(want) || !ok || err != nil {
			t.Errorf("%s read as %v, %v, %v", in, got, ok, err)
		}
	}
	// RS05, ID06
	for _, in := range []string{
		`"1"`, `1e400`, `1e9`, `1.5e9`, `1.0000000001e9`, `1E9`, `-1`, `-0`, `-0.5`, `253402300800`, `18446744073709551617`,
		`99999999999999999999999999`, `true`, `null`, `[1]`, `{}`,
	} {
		if got, _, err := mustParse(t, `{"exp":`+in+`}`).Time("exp"); err == nil || !got.IsZero() {
			t.Errorf("%s read as %v, %v", in, got, err)
		}
	}
}

func TestSecondsTakeNoFraction(t *testing.T) {
	if _, _, err := mustParse(t, `{"exp":1893456000.0}`).Seconds("exp"); err == nil {
		t.Error("a fraction was taken")
	}
	if got, ok, err := mustParse(t, `{"exp":1893456000}`).Seconds("exp"); got.Unix() != 1893456000 || !ok || err != nil {
		t.Errorf("%v, %v, %v", got, ok, err)
	}
	if _, ok, err := mustParse(t, `{}`).Seconds("exp"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}

func TestTypesAreNotConverted(t *testing.T) {
	c := mustParse(t, `{"number":1,"text":"a","list":["a","b"],"mixed":["a",1],"empty":[],"yes":true,"no":"false","yep":"TRUE","null":null,"object":{"jkt":"x"}}`)
	if _, ok, err := c.String("number"); !ok || err == nil {
		t.Error("a number is no string")
	}
	if _, ok, err := c.String("null"); !ok || err == nil {
		t.Error("null is no string")
	}
	if v, _, err := c.Strings("text"); err != nil || !slices.Equal(v, []string{"a"}) {
		t.Errorf("one string: %v, %v", v, err)
	}
	if v, _, err := c.Strings("list"); err != nil || !slices.Equal(v, []string{"a", "b"}) {
		t.Errorf("a list: %v, %v", v, err)
	}
	if v, ok, err := c.Strings("empty"); err != nil || !ok || len(v) != 0 {
		t.Errorf("an empty list: %v, %v", v, err)
	}
	for _, name := range []string{"mixed", "number", "null", "object"} {
		if _, ok, err := c.Strings(name); !ok || err == nil {
			t.Errorf("%s is no list of strings", name)
		}
	}
	if v, ok, err := c.Bool("yes"); !v || !ok || err != nil {
		t.Error("true")
	}
	if v, ok, err := c.Bool("no"); v || !ok || err != nil {
		t.Error("\"false\" (Apple)")
	}
	for _, name := range []string{"yep", "number", "null", "list"} {
		if _, ok, err := c.Bool(name); !ok || err == nil {
			t.Errorf("%s is no boolean", name)
		}
	}
	if o, ok, err := c.Object("object"); !ok || err != nil || !o.Has("jkt") {
		t.Error("object")
	}
	if _, ok, err := c.Object("text"); !ok || err == nil {
		t.Error("text is no object")
	}
}

func TestAnAbsentMemberIsNoError(t *testing.T) {
	var c Claims
	_, ok1, err1 := c.String("x")
	_, ok2, err2 := c.Strings("x")
	_, ok3, err3 := c.Time("x")
	_, ok4, err4 := c.Bool("x")
	_, ok5, err5 := c.Object("x")
	if ok1 || ok2 || ok3 || ok4 || ok5 {
		t.Error("absent is reported as there")
	}
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Error(err)
		}
	}
}

// FuzzParseObject: what we read, encoding/json reads the same, and no name was lost on the way: there were no
// duplicates.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[true,false,null,"\u00e9"],"c":{"d":1.5e-3}}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, "\ufeff{}", `{"a":"\ud83d\ude00"}`,
		`{"exp":1e400}`, ` { "a" : [ 1 , 2 ] } `, `{"a":-0}`, `[]`, `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseObject(data)
		if err != nil {
			return
		}
		var theirs map[string]any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&theirs); err != nil {
			t.Fatalf("we read what encoding/json does not: %v", err)
		}
		if !reflect.DeepEqual(c.m, theirs) {
			t.Fatalf("we read %v, encoding/json %v", c.m, theirs)
		}
		if got, want := scalars(c.m), scalarTokens(t, data); got != want {
			t.Fatalf("%d values were written, %d read", want, got)
		}
	})
}

func scalars(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += 1 + scalars(member) // the name counts as a token
		}
	case []any:
		for _, member := range v {
			n += scalars(member)
		}
	default:
		n = 1
	}
	return n
}

func scalarTokens(t *testing.T, data []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return n
		}
		if _, structure := token.(json.Delim); !structure {
			n++
		}
	}
}

func TestNumbersThatNameSomethingKeepTheirDigits(t *testing.T) {
	for in, want := range map[string]string{"7": "7", "0": "0", "90071992547409931234": "90071992547409931234"} {
		if got, ok, err := mustParse(t, `{"v":`+in+`}`).Digits("v"); got != want || !ok || err != nil {
			t.Errorf("%s read as %q, %v, %v", in, got, ok, err)
		}
	}
	for _, in := range []string{"-7", "7.0", "7e3", `"7"`, "null", "[7]"} {
		if got, ok, err := mustParse(t, `{"v":`+in+`}`).Digits("v"); got != "" || !ok || err == nil {
			t.Errorf("%s read as %q, %v, %v", in, got, ok, err)
		}
	}
}

func TestAnArrayOfObjectsHoldsNothingElse(t *testing.T) {
	list, ok, err := mustParse(t, `{"v":[{"a":"1"},{"a":"2"}]}`).Objects("v")
	if !ok || err != nil || len(list) != 2 {
		t.Fatalf("%v, %v, %v", list, ok, err)
	}
	if second, _, _ := list[1].String("a"); second != "2" {
		t.Errorf("the second is %q", second)
	}
	for _, in := range []string{`{}`, `"x"`, `[1]`, `[{},null]`, `null`} {
		if list, ok, err := mustParse(t, `{"v":`+in+`}`).Objects("v"); list != nil || !ok || err == nil {
			t.Errorf("%s read as %v, %v, %v", in, list, ok, err)
		}
	}
	if _, ok, err := mustParse(t, `{}`).Objects("v"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}
