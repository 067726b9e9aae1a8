package pages

// Page is one of the structs below: what one page shows, decided by the caller. A page decides nothing itself.
type Page interface {
	template() string // the file below templates/
	common() Common
}

// Common is what every page has.
type Common struct {
	Lang        string     // from Look.Language; empty or unknown: the browser's Accept-Language decides
	Client      ClientView // whom the trip is for; empty where there is none
	FlowID      string     // goes into every form as the hidden field "flow"; empty: no such field
	AccountID   string     // whom the page is shown to: the hidden field "account" of every form; empty: no such field
	FormTargets []string   // where a form of this page may be redirected to, beside ourselves: origins, and schemes with their colon
	Notice      string     // said aloud above the content: a key of the locales or plain text
}

func (c Common) common() Common { return c }

// ClientView is what people see of a client. Nothing in it is trusted to be harmless.
type ClientView struct {
	Name      string
	LogoURL   string // of our own origin: no third party learns who signs in
	HomeURL   string
	PolicyURL string
	TermsURL  string
	// FirstParty leaves out the sentence that the client is somebody else's.
	FirstParty bool
	// Unverified is set where nobody answers for the client: people are told so.
	Unverified *Unverified
}

// Unverified is what can be said of a client that registered itself.
type Unverified struct {
	Server   string // the host of ours: whoever runs it has not checked the client
	Document string // the host its description is from; empty: from no host
	Returns  string // the host people are sent to in the end, or the scheme of an app; empty: none
	App      bool   // Returns is an app on the person's own device
}

// Login is where somebody says who they are.
type Login struct {
	Common
	Providers      []ProviderButton
	Email          bool
	EmailValue     string
	Passkeys       bool
	PasskeyOptions string // JSON for navigator.credentials.get
	Reauth         bool   // somebody is known; they have to prove it again
	SignedInAs     string // an account to continue as
}

// ProviderButton sends the browser to a provider. It is a form of its own, so that it works without script.
type ProviderButton struct {
	Name  string // in the path and the id
	Label string // as people call it; empty: Name
	Type  string // of a provider: those of upstream.Title have a mark; any other shows the label's first letter
	URL   string // empty: /federation/NAME/start
}

// EmailCode asks for the code that was sent to an address.
type EmailCode struct {
	Common
	Email      string
	ResendIn   int    // seconds until another code may be asked for; zero: now
	CodeLength int    // zero: 6
	Error      string // beside the field: a key of the locales or plain text
}

// Continue asks whether to go on with the account that is signed in (prompt=select_account, RFC 8252 §8.6).
type Continue struct {
	Common
	Account string
}

// Consent asks what the client may have.
type Consent struct {
	Common
	Account   string
	Scopes    []ScopeLine
	Resources []string // the app servers the access is for
	Device    bool     // a device asks (RFC 8628): nobody may be hurried into agreeing
	UserCode  string   // what the device shows
	Details   []DetailBox
}

// ScopeLine is one thing a client asks for.
type ScopeLine struct {
	Name     string
	Text     string // empty: the sentence "scope.NAME" of the locales, or one with the name in it
	Required bool   // cannot be unticked
	Checked  bool
}

// DeviceCode asks for the code that a device shows (RFC 8628 §3.3).
type DeviceCode struct {
	Common
	UserCode string
	Error    string // beside the field: a key of the locales or plain text
}

// DeviceDone says that the person may go back to the device.
type DeviceDone struct {
	Common
	Allowed bool
}

// Error says what went wrong and what to do next.
type Error struct {
	Common
	Code        string // an OAuth code, or one of ours
	Description string // a key of the locales or plain text; empty: the sentence "error.CODE" of the locales
	Detail      string // for the app's makers, in English; plain text
	RequestID   string // empty: the request's own
	RestartURL  string // begins again
	BackURL     string // leads back to the client
	BackLabel   string // empty: back to the client by its name
}

// LogoutConfirm asks whether to sign out of this browser.
type LogoutConfirm struct {
	Common
	Account string
	Clients []string // names of the apps that are told
	Fields  []Field  // to come back with the person's answer
}

// LogoutDone says that the browser is signed out, or that it is not.
type LogoutDone struct {
	Common
	Kept      bool // the person chose to stay signed in
	ReturnURL string
}

// FormPost carries an authorization response to the client (OAuth 2.0 Form Post Response Mode). It submits itself, and
// has a button for browsers without script.
type FormPost struct {
	Common
	Action string
	Fields []Field
}

// Field is one hidden field of a form.
type Field struct{ Name, Value string }

// PasskeyOffer offers to make a passkey on this device, after a sign-in by something else.
type PasskeyOffer struct {
	Common
	Options string // JSON for navigator.credentials.create
}

func (Login) template() string         { return "login.html" }
func (EmailCode) template() string     { return "email_code.html" }
func (Continue) template() string      { return "continue.html" }
func (Consent) template() string       { return "consent.html" }
func (DeviceCode) template() string    { return "device_code.html" }
func (DeviceDone) template() string    { return "device_done.html" }
func (Error) template() string         { return "error.html" }
func (LogoutConfirm) template() string { return "logout_confirm.html" }
func (LogoutDone) template() string    { return "logout_done.html" }
func (FormPost) template() string      { return "form_post.html" }
func (PasskeyOffer) template() string  { return "passkey_offer.html" }

// everyPage has one of each, empty: NewLook tries all of them, so that a template which asks for what is not there is
// found when the server starts.
var everyPage = []Page{
	Login{}, EmailCode{}, Continue{}, Consent{}, DeviceCode{}, DeviceDone{}, Error{}, LogoutConfirm{}, LogoutDone{}, FormPost{}, PasskeyOffer{},
}
