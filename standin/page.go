package standin

import (
	"bytes"
	"html/template"
	"net/http"
)

var loginPage = template.Must(template.New("login").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Stand-in {{.Kind}}</title>
<h1>Stand-in {{.Kind}}</h1>
<p>{{.Client}} wants to know who you are. Any name will do; there is no password.</p>
<form id="standin-login" method="post" action="{{.Action}}">
<input type="hidden" name="request" value="{{.Request}}">
<p><label for="username">User name</label> <input id="username" name="username" value="{{.Username}}" autocomplete="off" autofocus></p>
<p><button id="standin-allow" name="decision" value="allow">Continue</button>
<button id="standin-deny" name="decision" value="deny">Cancel</button></p>
</form></html>
`))

// returnPage posts by itself where there is script, and by its button where there is none.
var returnPage = template.Must(template.New("return").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Going back</title>
<form id="standin-return" method="post" action="{{.Action}}">
{{range $name, $values := .Fields}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<button id="standin-continue">Continue</button>
</form>
<script>document.getElementById("standin-return").submit()</script></html>
`))

var errorPage = template.Must(template.New("error").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Refused</title>
<h1>Refused</h1>
<p id="standin-error">{{.}}</p></html>
`))

func refusePage(w http.ResponseWriter, why string) { show(w, http.StatusBadRequest, errorPage, why) }

func show(w http.ResponseWriter, status int, page *template.Template, data any) {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
