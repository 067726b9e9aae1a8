package httpd

import "testing"

func TestARoomHasAsManyPlacesAsItHas(t *testing.T) {
	var r Room
	var out []func()
	tries := func() (in int) {
		for range 5 {
			if leave, ok := r.Enter(2, 2); ok {
				in++
				out = append(out, leave)
			}
		}
		return in
	}
	if n := tries(); n != 2 {
		t.Errorf("%d got in", n)
	}
	out[0]()
	if n := tries(); n != 1 {
		t.Errorf("one of the places was free again, and %d got in", n)
	}
}

func TestNobodyHasMoreThanAShareOfARoom(t *testing.T) {
	var r Room
	first, _ := r.Enter(10, 2, "client a", "address x")
	_, _ = r.Enter(10, 2, "client a", "address y")
	for _, keys := range [][]string{{"client a"}, {"client b", "client a"}} {
		if _, ok := r.Enter(10, 2, keys...); ok {
			t.Errorf("%v got in", keys)
		}
	}
	if _, ok := r.Enter(10, 2, "client b", "address x"); !ok {
		t.Error("a refusal took a place")
	}
	if _, ok := r.Enter(10, 2, "client c", "address x"); ok {
		t.Error("an address has more than its share")
	}
	first()
	if _, ok := r.Enter(10, 2, "client a", "address x"); !ok {
		t.Error("whoever left is still counted")
	}
	if len(r.by) != 4 || r.taken != 3 {
		t.Errorf("%v, %d", r.by, r.taken)
	}
}
