package pages

import (
	"net/http"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/upstream"
)

// start is POST /federation/{provider}/start.
func (d *Door) start(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	out, err := d.Flow.ToProvider(r.Context(), flowID(form), d.visitor(r), r.PathValue("provider"))
	d.answer(w, r, out, err)
}

// callback is GET /federation/{provider}/callback.
func (d *Door) callback(w http.ResponseWriter, r *http.Request) { d.returned(w, r, false) }

// postedCallback is the same by POST, across sites and without cookies: the way Apple answers.
func (d *Door) postedCallback(w http.ResponseWriter, r *http.Request) { d.returned(w, r, true) }

func (d *Door) returned(w http.ResponseWriter, r *http.Request, posted bool) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	out, err := d.Flow.FromProvider(r.Context(), flow.Return{
		Provider: r.PathValue("provider"), State: form.Get("state"), Posted: posted,
		Answer: upstream.Returned{
			Code: form.Get("code"), Error: form.Get("error"), Issuer: form.Get("iss"), User: form.Get("user"),
		},
	}, d.visitor(r))
	d.answer(w, r, out, err)
}
