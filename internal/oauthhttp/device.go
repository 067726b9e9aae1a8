package oauthhttp

import (
	"net/http"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
)

// deviceAuthorization is POST /device_authorization (RFC 8628 §3.1).
func (d *Door) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	form, client, err := d.sender(r, beginning, "resource")
	if err != nil {
		refuse(w, r, err)
		return
	}
	answer, err := d.Flow.StartDevice(r.Context(), flow.DeviceRequest{
		Client: client, Scope: form.Get("scope"), Resource: form.All("resource"), Details: form.Get("authorization_details"), IP: httpd.LimitKey(r),
	})
	if err != nil {
		refuse(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, answer)
}
