package oauthhttp

import (
	"net/http"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
)

// push is POST /par (RFC 9126 §2).
func (d *Door) push(w http.ResponseWriter, r *http.Request) {
	form, client, err := d.sender(r, beginning, "resource")
	if err != nil {
		refuse(w, r, err)
		return
	}
	answer, err := d.Flow.Push(r.Context(), flow.Push{
		Client: client, Form: form, Proofs: r.Header["Dpop"], URL: httpd.Base(r, d.Issuer) + pathPAR, IP: httpd.LimitKey(r),
	})
	if err != nil {
		refuse(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusCreated, answer)
}
