package pages

import (
	"github.com/countersign/countersign/internal/mail"
)

// Letter is the mail that carries a code. It holds the code and nothing to click on: a link in a mail is opened by
// whoever scans it, and in whatever browser comes first (ATTACKS SE10).
func (l *Look) Letter(code, app string, locales []string, acceptLanguage string) mail.Message {
	words := l.locales[l.Language(locales, acceptLanguage)]
	subject, err := words.text("mail.code.subject", "code", code, "client", app)
	if err != nil {
		subject = code
	}
	body, err := words.text("mail.code.text", "code", code, "client", app)
	if err != nil {
		body = code
	}
	return mail.Message{Subject: subject, Text: body}
}
